import { setTimeout as sleep } from "node:timers/promises";
import { defineJob, getJob, JobTimeoutError } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

test("a job that exceeds its timeout is aborted with the reason, counts as an attempt, and is retried", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.slow", { queue, timeout: 100, retry: { attempts: 2, backoff: { base: 1 } } });
  const reasons: unknown[] = [];
  const handler = implement(job, async ({ signal }) => {
    await sleep(60_000, undefined, { signal }).catch(() => reasons.push(signal.reason));
    throw new Error("what it threw is not the reason");
  });
  await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});

  const dead = await untilState(db, id, "dead");
  expect(reasons).toEqual([expect.any(JobTimeoutError), expect.any(JobTimeoutError)]);
  expect(dead).toMatchObject({
    reason: "attempts_exhausted",
    attempt: 2,
    error: expect.stringContaining("longer than its 100 ms"),
  });
  expect(dead.attempts.map(({ ending }) => ending)).toEqual(["timeout", "timeout"]);
});

test("a handler that succeeds although it was aborted has completed its job", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.finishing", { queue, timeout: 50 });
  const handler = implement(job, async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "finished";
  });
  await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});

  expect((await untilState(db, id, "completed")).result).toBe("finished");
});

test(
  "a handler that ignores its signal is abandoned after the grace period: its job and its slot continue",
  { tags: ["FM-17"] },
  async ({ db, producer, queue, startWorker }) => {
    const stubborn = defineJob("test.stubborn", { queue, timeout: 50, retry: { attempts: 1 } });
    const next = defineJob("test.next", { queue });
    const gate = Promise.withResolvers<string>();
    const handlers = [implement(stubborn, () => gate.promise), implement(next, () => {})];
    const worker = await startWorker(handlers, { queues: { [queue]: 1 }, abortTimeout: 100 });

    const { id } = await producer.enqueue(stubborn, {});
    const following = await producer.enqueue(next, {});

    expect(await untilState(db, id, "dead")).toMatchObject({ error: expect.stringContaining("longer than its 50 ms") });
    await untilState(db, following.id, "completed");
    gate.resolve("far too late");
    await eventually(() => worker.health().activeJobs === 0, { withinMs: 30_000, what: "no active job" });
    expect((await getJob(db, id))!.state).toBe("dead");
  },
);

test(
  "a timeout longer than one timer can hold does not fire at once",
  { tags: ["FM-28"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.patient", { queue, timeout: "90d" });
    let isAborted = false;
    const handler = implement(job, async ({ signal }) => {
      await sleep(50);
      isAborted = signal.aborted;
    });
    await startWorker([handler]);

    const { id } = await producer.enqueue(job, {});

    await untilState(db, id, "completed");
    expect(isAborted).toBe(false);
  },
);
