import { setTimeout as sleep } from "node:timers/promises";
import { defineJob, getJob, WorkerStoppingError } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, insertJob, untilState } from "../support/jobs.ts";

test("a stopping worker claims nothing new, and lets running jobs end", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.slow", { queue });
  const gate = Promise.withResolvers<void>();
  const worker = await startWorker([implement(job, () => gate.promise)], { queues: { [queue]: 1 } });
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "running");
  const next = await producer.enqueue(job, {});

  const stopped = worker.stop();
  await eventually(() => worker.health().state === "draining", { withinMs: 30_000, what: "draining" });
  expect(worker.health().activeJobs).toBe(1);
  gate.resolve();
  await stopped;

  expect(await getJob(db, id)).toMatchObject({ state: "completed", attempts: [] });
  expect(await getJob(db, next.id)).toMatchObject({ state: "ready", attempt: 0 });
  expect(worker.health().state).toBe("stopped");
});

test(
  "a stopped worker leaves no registration and no session",
  { tags: ["FM-14"] },
  async ({ db, queue, startWorker }) => {
    const worker = await startWorker([implement(defineJob("test.plain", { queue }), () => {})], { name: queue });
    expect((await db.pool.query("select from hark.workers where name = $1", [queue])).rowCount).toBe(1);

    await Promise.all([worker.stop(), worker.stop(), worker.stop("now")]);

    expect((await db.pool.query("select from hark.workers where name = $1", [queue])).rowCount).toBe(0);
    const sessions = `select application_name from pg_stat_activity
    where datname = current_database() and application_name in ('hark worker', 'hark listener', 'hark lease')`;
    await expect.poll(async () => (await db.pool.query(sessions)).rows, { timeout: 30_000 }).toEqual([]);
  },
);

test(
  "jobs that outlast the drain are aborted with the reason and handed back, without using up an attempt",
  { tags: ["FM-51", "STOP-1"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.long", { queue, retry: { attempts: 1 } });
    const reasons: unknown[] = [];
    const handler = implement(job, async ({ signal }) => {
      await sleep(60_000, undefined, { signal }).catch(() => reasons.push(signal.reason));
      signal.throwIfAborted();
    });
    const worker = await startWorker([handler], { drainTimeout: 100 });
    const jobs = await producer.enqueueMany(Array.from({ length: 5 }, () => ({ job, payload: {} })));
    for (const { id } of jobs) await untilState(db, id, "running");

    await worker.stop();

    expect(reasons).toEqual(Array(5).fill(expect.any(WorkerStoppingError)));
    for (const { id } of jobs) {
      expect(await getJob(db, id)).toMatchObject({
        state: "ready",
        attempt: 0,
        attempts: [{ ending: "interrupted", attempt: 1 }],
      });
    }
    const again = implement(job, ({ attempt }) => {
      expect(attempt).toBe(1);
    });
    await startWorker([again]);
    for (const { id } of jobs) await untilState(db, id, "completed");
  },
);

test(
  "a handler that ignores the abort cannot delay the stop: its job is handed back anyway",
  { tags: ["FM-51", "STOP-1"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.stubborn", { queue });
    const gate = Promise.withResolvers<void>();
    const worker = await startWorker([implement(job, () => gate.promise)], { drainTimeout: 0, abortTimeout: 100 });
    const { id } = await producer.enqueue(job, {});
    await untilState(db, id, "running");

    await worker.stop();

    expect(await getJob(db, id)).toMatchObject({ state: "ready", attempt: 0, attempts: [{ ending: "interrupted" }] });
    gate.resolve();
  },
);

test("stop may be called at any moment of the start", { tags: ["FM-51"] }, async ({ db, queue, startWorker }) => {
  const job = defineJob("test.plain", { queue });
  for (const afterMs of [0, 50, 300]) {
    const starting = startWorker([implement(job, () => {})], { name: queue }).then(
      (worker) => worker.stop(),
      () => {}, // the worker is already stopping when it should listen
    );
    await sleep(afterMs);
    await starting;
    expect((await db.pool.query("select from hark.workers where name = $1", [queue])).rowCount).toBe(0);
  }
});

test(
  "SIGTERM drains a worker process, which then ends with exit code 0",
  { tags: ["FM-51", "STOP-1"] },
  async ({ db, queue, ledger, startProcess }) => {
    const process = await startProcess();
    const id = await insertJob(db, { queue, type: "test.task", payloadJson: '{"ms": 700}' });
    await ledger.until("started", 1, 60_000);

    process.kill("SIGTERM");

    expect(await process.exited).toBe(0);
    expect(ledger.read().map(({ event }) => event)).toEqual(["started", "ended"]);
    expect((await getJob(db, id))!.state).toBe("completed");
  },
);

test(
  "a second signal aborts running jobs, and they are handed back",
  { tags: ["FM-51"] },
  async ({ db, queue, ledger, startProcess }) => {
    const process = await startProcess();
    const id = await insertJob(db, { queue, type: "test.task", payloadJson: '{"ms": 60000}' });
    await ledger.until("started", 1, 60_000);

    process.kill("SIGTERM");
    await eventually(async () => (await process.health()).state === "draining", { withinMs: 60_000, what: "draining" });
    expect(ledger.of("aborted")).toEqual([]);
    process.kill("SIGINT");

    expect(await process.exited).toBe(0);
    expect(ledger.of("aborted")).toMatchObject([{ id: String(id), reason: "WORKER_STOPPING" }]);
    expect(await getJob(db, id)).toMatchObject({ state: "ready", attempt: 0 });
  },
);

test(
  "a third signal ends the process at once, and its job comes back as after a crash",
  { tags: ["FM-51"] },
  async ({ db, queue, ledger, startProcess }) => {
    const process = await startProcess({ leaseMs: 1_500, abortMs: 60_000 });
    const id = await insertJob(db, { queue, type: "test.task", payloadJson: '{"does": "ignore", "ms": 60000}' });
    await ledger.until("started", 1, 60_000);

    process.kill("SIGTERM");
    await eventually(async () => (await process.health()).state === "draining", { withinMs: 60_000, what: "draining" });
    process.kill("SIGTERM");
    await ledger.until("aborted", 1, 60_000);
    process.kill("SIGTERM");

    expect(await process.exited).toBe(143);
    await startProcess({ leaseMs: 1_500 });
    await ledger.until("started", 2, 60_000);
    expect((await getJob(db, id))!.attempts).toMatchObject([{ ending: "crashed", attempt: 1 }]);
    expect(await countJobs(db, queue)).toEqual({ running: 1 });
  },
);
