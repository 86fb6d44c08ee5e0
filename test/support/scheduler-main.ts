/** A process of many schedulers for tests, with a wall clock that is wrong; it ends with whoever started it. */
import { defineJob, openDatabase, silentLogger } from "@hark/core";
import { schedule } from "@hark/worker";
import { Scheduler } from "@hark/worker/internal";
import { deaf } from "./schedules.ts";

/** What the process is told, as JSON. */
export interface SchedulerProcessOptions {
  databaseUrl: string;
  schedulers: number;
  /** Names of schedules, each of a second, and with a queue of the same name. */
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
  new Scheduler({ db, notifications: deaf, schedules, logger: silentLogger }).start();
}
