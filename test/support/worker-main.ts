/**
 * A worker process for tests: runs `task` jobs of one queue, writes a ledger, and ends together
 * with its parent process.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "@hark/core";
import { createWorker, implement, type JobContext } from "@hark/worker";
import pg from "pg";
import { appendToLedger, type LedgerEntry, monotonicUs } from "./ledger.ts";
import { task } from "./task.ts";
import type { WorkerNews, WorkerProcessOptions } from "./worker-process.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as WorkerProcessOptions;
const tell = (news: WorkerNews) => process.send?.(news);
const clock = options.clockUrl === undefined ? undefined : new pg.Pool({ connectionString: options.clockUrl, max: 5 });

const worker = createWorker({
  connectionString: options.databaseUrl,
  listenUrl: options.listenUrl,
  logger: createLogger("warn"),
  queues: { [options.queue]: options.concurrency ?? 10 },
  handlers: [implement(task, run)],
  ...(options.name !== undefined && { name: options.name }),
  ...(options.leaseMs !== undefined && { lease: options.leaseMs }),
  ...(options.pollMs !== undefined && { pollInterval: options.pollMs, promoteInterval: options.pollMs }),
  ...(options.drainMs !== undefined && { drainTimeout: options.drainMs }),
  ...(options.abortMs !== undefined && { abortTimeout: options.abortMs }),
});

process.on("message", () => tell({ kind: "health", health: worker.health() }));
process.once("disconnect", () => process.exit(1));

worker
  .whenListening()
  .then(() => tell({ kind: "ready" }))
  .catch(() => {});
try {
  const running = worker.run();
  tell({ kind: "born" });
  await running;
} catch (error) {
  tell({ kind: "failed", error: String(error) });
  process.exitCode = 1;
}
await clock?.end();
process.removeAllListeners("disconnect");
process.disconnect?.();

async function run(job: JobContext<{ does: string; ms: number; times: number }>): Promise<void> {
  const { does, ms, times } = job.payload;
  job.signal.addEventListener("abort", () => {
    const { code } = job.signal.reason as { code?: string };
    note("aborted", job, { reason: code });
  });
  note("started", job, { databaseAt: await databaseTime() });

  switch (does) {
    case "block":
      for (const endsAt = performance.now() + ms; performance.now() < endsAt;);
      break;
    case "hang":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // for ever, without using the processor
      break;
    case "fail":
      if (job.attempt <= times) throw new Error(`attempt ${job.attempt} was told to fail`);
      break;
    case "die":
      process.kill(process.pid, "SIGKILL");
      await sleep(60_000);
      break;
    case "exhaust":
      for (const kept: number[][] = []; ;) kept.push(Array.from({ length: 100_000 }, Math.random));
    case "hold":
      if (job.attempt <= times) await sleep(ms, undefined, { signal: job.signal });
      break;
    case "float":
      void sleep(ms).then(() => {
        throw new Error("nobody awaits this");
      });
      break;
    default:
      if (ms > 0) await sleep(ms, undefined, does === "ignore" ? {} : { signal: job.signal });
  }
  note("ended", job, { databaseAt: await databaseTime() });
}

function note(event: LedgerEntry["event"], job: JobContext, more: Partial<LedgerEntry>): void {
  const { id, token, attempt, key } = job;
  const at = monotonicUs();
  appendToLedger(options.ledgerFile, {
    event,
    id: String(id),
    token,
    attempt,
    key,
    worker: options.name ?? String(process.pid),
    pid: process.pid,
    at,
    ...more,
  });
}

async function databaseTime(): Promise<number | undefined> {
  if (!clock) return undefined;
  const { rows } = await clock.query<{ us: string }>({
    name: "time",
    text: "select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us",
  });
  return Number(rows[0]?.us);
}
