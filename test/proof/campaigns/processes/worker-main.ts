/** A worker of the campaign. It does what payloads say, and records every start and end. */
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger, openDatabase, UnrecoverableError } from "@hark/core";
import { createWorker, implement, type JobContext } from "@hark/worker";
import * as v from "valibot";
import { LedgerFile } from "../ledger/ledger.ts";
import { page, probe, probeQueueOf, queue, type Task, taskSchema, work } from "./jobs.ts";
import { leave, readOptions, tell } from "./tell.ts";
import { witness } from "./witness.ts";

export interface WorkerOptions {
  name: string;
  databaseUrl: string;
  ledger: string;
  leaseMs: number;
  pollMs: number;
  concurrency: number;
}

const options = readOptions() as WorkerOptions;
const ledger = new LedgerFile(options.ledger, `${options.name}.${process.pid}`);
const application = openDatabase({ connectionString: options.databaseUrl, applicationName: "application" });

const worker = createWorker({
  connectionString: options.databaseUrl,
  name: options.name,
  logger: witness(ledger, createLogger(process.env["CAMPAIGN_LOG"] ?? "error")),
  queues: { [queue]: options.concurrency, [probeQueueOf(options.name)]: 2 },
  handlers: [
    implement(work, (job) => run(job, job.payload)),
    implement(page, (job) => run(job, v.parse(taskSchema, job.payload.metadata))),
    implement(probe, (job) => run(job, job.payload)),
  ],
  lease: options.leaseMs,
  pollInterval: options.pollMs,
  promoteInterval: options.pollMs,
  drainTimeout: 500,
  abortTimeout: 500,
});

worker
  .whenListening()
  .then(() => tell({ kind: "ready" }))
  .catch(() => {});
await worker.run();
await application.close();
leave();

async function run(job: JobContext, task: Task): Promise<{ token: string }> {
  const { token, attempt, key } = job;
  const id = String(job.id);
  job.signal.addEventListener("abort", () => {
    const { code } = job.signal.reason as { code?: string };
    ledger.write({ event: "aborted", id, token, reason: code });
  });
  ledger.write({ event: "started", id, ref: task.ref, token, attempt, does: task.does, key });
  if (task.does === "probe") tell({ kind: "probe", id });
  try {
    await perform(job, task);
    ledger.write({ event: "ended", id, token, how: "returned" });
    return { token };
  } catch (error) {
    ledger.write({ event: "ended", id, token, how: "threw" });
    throw error;
  }
}

async function perform(job: JobContext, { does, ms, times }: Task): Promise<void> {
  switch (does) {
    case "probe":
      return;
    case "sleep":
      if (ms > 0) await sleep(ms, undefined, { signal: job.signal });
      return;
    case "ignore":
      await sleep(ms);
      return;
    case "block":
      for (const endsAt = performance.now() + ms; performance.now() < endsAt;);
      return;
    case "fail":
      if (ms > 0) await sleep(ms, undefined, { signal: job.signal });
      if (job.attempt <= times) throw new Error(`attempt ${job.attempt} was told to fail`);
      return;
    case "fatal":
      throw new UnrecoverableError("was told to fail for good");
    case "exit":
      process.exit(0);
      break;
    case "kill":
      process.kill(process.pid, "SIGKILL");
      await sleep(60_000);
      return;
    case "snooze":
      // A snooze gives the attempt back, so attempts cannot count the snoozes.
      if (Math.random() < times / (times + 1)) job.snooze(ms);
      return;
    case "effect":
      await application.transaction(async (tx) => {
        await tx.query("insert into effects values ($1, $2)", [job.id, job.token]);
        if (ms > 0) await sleep(ms);
        await job.completeIn(tx, { token: job.token });
      });
      return;
    default:
      does satisfies never;
  }
}
