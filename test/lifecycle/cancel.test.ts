import { cancelJob, type Database, defineJob, getJob, getStats, JobCancelledError, LeaseLostError } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { Producer } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";
import { lacking, withSeams } from "../support/seams.ts";

test("a waiting job is cancelled without running, and only once", async ({ db, producer, queue }) => {
  const job = defineJob("test.waiting", { queue });
  const ready = await producer.enqueue(job, { n: 1 });
  const scheduled = await producer.enqueue(job, { n: 2 }, { delay: "1h" });

  expect(await cancelJob(db, ready.id)).toBe("ready");
  expect(await cancelJob(db, scheduled.id)).toBe("scheduled");

  expect(await getJob(db, ready.id)).toMatchObject({
    state: "cancelled",
    attempt: 0,
    startedAt: null,
    payload: { n: 1 },
    attempts: [{ ending: "cancelled", attempt: 0 }],
  });
  expect(await cancelJob(db, ready.id)).toBeUndefined();
  expect((await getStats(db)).queues[queue]).toMatchObject({ cancelled: 2, ready: 0, scheduled: 0 });
});

test("a job that does not exist or is finished cannot be cancelled", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.quick", { queue });
  await startWorker([implement(job, () => {})]);
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "completed");

  expect(await cancelJob(db, id)).toBeUndefined();
  expect(await cancelJob(db, 1n << 62n)).toBeUndefined();
  expect((await getJob(db, id))!.state).toBe("completed");
});

test("a job that was taken over and not cancelled is told that its lease is lost, whatever a notification says", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.taken", { queue });
  const reasons: unknown[] = [];
  const handler = implement(job, async ({ signal }) => {
    if (reasons.length > 0) return;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    reasons.push(signal.reason);
  });
  await startWorker([handler]);
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "running");

  await db.pool.query("update hark.running_jobs set token = gen_random_uuid() where id = $1", [id]);
  await db.pool.query("select pg_notify('job_cancelled', $1::text)", [id]);

  await eventually(() => reasons.length === 1, { withinMs: 30_000, what: "the abort" });
  expect(reasons).toEqual([expect.any(LeaseLostError)]);
});

test("a running job's signal is aborted with the reason, and its later outcome is refused", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const heeding = defineJob("test.heeding", { queue });
  const stubborn = defineJob("test.stubborn", { queue });
  const reasons: unknown[] = [];
  const aborted = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason);
        resolve();
      });
    });
  const handlers = [
    implement(heeding, async ({ signal }) => {
      await aborted(signal);
      signal.throwIfAborted();
    }),
    implement(stubborn, async ({ signal }) => {
      await aborted(signal);
      return "done all the same";
    }),
  ];
  const worker = await startWorker(handlers);
  const refused: bigint[] = [];
  worker.events.on("refused", ({ id }) => refused.push(id));
  const jobs = [await producer.enqueue(heeding, {}), await producer.enqueue(stubborn, {})];
  for (const { id } of jobs) await untilState(db, id, "running");

  for (const { id } of jobs) expect(await cancelJob(db, id)).toBe("running");

  await eventually(() => refused.length === 2, { withinMs: 30_000, what: "two refused outcomes" });
  expect(reasons).toEqual([expect.any(JobCancelledError), expect.any(JobCancelledError)]);
  for (const { id } of jobs) {
    expect(await getJob(db, id)).toMatchObject({
      state: "cancelled",
      attempt: 1,
      result: null,
      attempts: [{ ending: "cancelled", attempt: 1, token: expect.any(String) }],
    });
  }
  await eventually(() => worker.health().activeJobs === 0, { withinMs: 30_000, what: "free slots" });
});

test(
  "a cancellation that races with the end of its job leaves the job in one table",
  { tags: ["KEPT-2"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.racing", { queue, retry: { backoff: { base: 1 } } });
    const handler = implement(job, ({ attempt }) => {
      if (attempt === 1) throw new Error("once more");
    });
    await startWorker([handler], { queues: { [queue]: 20 } });
    const jobs = await producer.enqueueMany(Array.from({ length: 200 }, () => ({ job, payload: {} })));

    const answers = await Promise.all(jobs.map(({ id }) => cancelJob(db, id)));

    for (const [place, { id }] of jobs.entries()) {
      const wasIn = answers[place];
      await untilState(db, id, wasIn === undefined ? "completed" : "cancelled");
    }
    expect((await getStats(db)).queues[queue]).toMatchObject({
      cancelled: answers.filter((answer) => answer !== undefined).length,
      completed: answers.filter((answer) => answer === undefined).length,
      ready: 0,
      scheduled: 0,
      running: 0,
    });
  },
);

test("forged and malformed cancellations abort no job", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.unmoved", { queue });
  let isAborted = false;
  const gate = Promise.withResolvers<void>();
  const handler = implement(job, async ({ signal }) => {
    signal.addEventListener("abort", () => (isAborted = true));
    await gate.promise;
  });
  await startWorker([handler]);
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "running");

  for (const payload of ["", "x", "-1", "1e9", `${id}0`, "9".repeat(30), " 1 ", "\n"]) {
    await db.pool.query("select pg_notify('job_cancelled', $1)", [payload]);
  }
  const after = await producer.enqueue(job, {}); // its notification comes after those sent before
  await untilState(db, after.id, "running");

  expect(isAborted).toBe(false);
  gate.resolve();
  await untilState(db, id, "completed");
});

/** Starts a job, and cancels it without a notification. */
async function cancelUntold({ db, producer, queue }: { db: Database; producer: Producer; queue: string }) {
  const { id } = await producer.enqueue(untold(queue), {});
  await untilState(db, id, "running");
  const silent = withSeams(db, [lacking("cancel-job", "pg_notify('job_cancelled', id::text)", "id")]);
  await statements.cancelJob(silent, { id });
}

const untold = (queue: string) => defineJob("test.untold", { queue });

/** Runs until it is stopped, and reports why. */
const untilStopped = (queue: string, stopped: (reason: unknown) => void) =>
  implement(untold(queue), ({ signal }) => {
    return new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        stopped(signal.reason);
        resolve();
      });
    });
  });

test("a cancellation without a notification stops the handler within a lease", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const stopped = Promise.withResolvers<unknown>();
  await startWorker([untilStopped(queue, stopped.resolve)], { lease: "2s" });

  await cancelUntold({ db, producer, queue });

  expect(await stopped.promise).toBeInstanceOf(JobCancelledError);
});

test("a handler that continues after its completeIn() committed is not treated as cancelled", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.goes-on", { queue });
  const goOn = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<unknown>();
  const wasAborted = Promise.withResolvers<boolean>();
  const goingOn = implement(job, async (context) => {
    await db.transaction((tx) => context.completeIn(tx));
    await goOn.promise;
    wasAborted.resolve(context.signal.aborted);
  });
  await startWorker([goingOn, untilStopped(queue, stopped.resolve)], { lease: "2s" });
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "completed");

  await cancelUntold({ db, producer, queue });
  await stopped.promise; // the check that found this one saw the other too
  goOn.resolve();

  expect(await wasAborted.promise).toBe(false);
});
