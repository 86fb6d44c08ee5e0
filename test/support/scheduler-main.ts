/**
 * A process of many schedulers for tests, with a wrong wall clock. It ends together with its parent
 * process.
 */
import { defineJob, openDatabase, silentLogger } from "@hark/core";
import { schedule } from "@hark/worker";
import { Scheduler } from "@hark/worker/internal";
import { noNotifications } from "./schedules.ts";

/** The options of the process, as JSON. */
export interface SchedulerProcessOptions {
  databaseUrl: string;
  schedulers: number;
  /** Names of schedules. Each fires every second into a queue of the same name. */
  schedules: readonly string[];
  skewMs: number;
}

const options = JSON.parse(process.argv[2] ?? "{}") as SchedulerProcessOptions;
process.once("disconnect", () => process.exit(0));

const rightNow = Date.now;
class SkewedDate extends Date {
  constructor(...given: [] | [number]) {
    super(given.length === 0 ? SkewedDate.now() : given[0]);
  }
  static override now(): number {
    return rightNow() + options.skewMs;
  }
}
globalThis.Date = SkewedDate as DateConstructor;

const job = defineJob("test.tick");
const schedules = options.schedules.map((name) => schedule(job, { every: "1s" }, { name, queue: name, missed: "all" }));
for (let started = 0; started < options.schedulers; started += 1) {
  const db = openDatabase({ connectionString: options.databaseUrl, maxConnections: 1 });
  new Scheduler({ db, notifications: noNotifications, schedules, logger: silentLogger }).start();
}
