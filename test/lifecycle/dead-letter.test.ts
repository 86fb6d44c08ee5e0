import {
  defineJob,
  getJob,
  getStats,
  listDeadJobs,
  requeueDeadJob,
  RetryAfterError,
  UnrecoverableError,
} from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

test(
  "a job without attempts left becomes a dead letter, complete and with its last error",
  { tags: ["KEPT-3"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.doomed", { queue, retry: { backoff: { base: 1 } } });
    const handler = implement(job, ({ attempt }) => {
      throw new Error(`attempt ${attempt} failed`);
    });
    await startWorker([handler]);

    const { id } = await producer.enqueue(job, { url: "https://shop.example/1" }, { priority: 3 });

    const dead = await untilState(db, id, "dead");
    expect(dead).toMatchObject({
      reason: "attempts_exhausted",
      attempt: 3,
      maxAttempts: 3,
      priority: 3,
      payload: { url: "https://shop.example/1" },
      error: expect.stringMatching(/^Error: attempt 3 failed/),
    });
    expect(dead.attempts.map(({ attempt, ending, retryAt }) => [attempt, ending, retryAt === null])).toEqual([
      [1, "error", false],
      [2, "error", false],
      [3, "error", true],
    ]);
    expect((await listDeadJobs(db, { type: "test.doomed" })).map((letter) => letter.id)).toContain(id);
  },
);

test("an UnrecoverableError ends a job at once, and so does a retryAfter on its last attempt", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.fatal", { queue });
  const handler = implement(job, ({ payload }) => {
    throw payload === "later" ? new RetryAfterError(1_000) : new UnrecoverableError("404: there is no such book");
  });
  await startWorker([handler]);

  const gone = await producer.enqueue(job, "gone");
  const last = await producer.enqueue(job, "later", { maxAttempts: 1 });

  expect(await untilState(db, gone.id, "dead")).toMatchObject({
    reason: "unrecoverable",
    attempt: 1,
    error: expect.stringContaining("404: there is no such book"),
    attempts: [{ ending: "fatal", retryAt: null }],
  });
  expect(await untilState(db, last.id, "dead")).toMatchObject({
    reason: "attempts_exhausted",
    attempts: [{ ending: "retry_after", retryAt: null }],
  });
});

test("a requeued dead letter has all its attempts again, runs, and no longer counts as dead", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.mended", { queue, retry: { attempts: 2, backoff: { base: 1 } } });
  let isMended = false;
  const seen: number[] = [];
  const handler = implement(job, ({ attempt }) => {
    seen.push(attempt);
    if (!isMended) throw new Error("broken");
  });
  await startWorker([handler], { pollInterval: "10m" });
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "dead");
  expect((await getStats(db)).queues[queue]).toMatchObject({ dead: 1, completed: 0 });

  isMended = true;
  expect(await requeueDeadJob(db, id)).toEqual({ id, type: "test.mended", isRequeued: true });

  await untilState(db, id, "completed");
  expect(seen).toEqual([1, 2, 1]);
  expect((await getStats(db)).queues[queue]).toMatchObject({ dead: 0, completed: 1 });
  expect(await requeueDeadJob(db, id)).toBeUndefined(); // it is not a dead letter any more
});

test("a dead letter whose unique key is taken stays one, and is requeued once the key is free", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.unique", { queue });
  await startWorker([
    implement(job, () => {
      throw new UnrecoverableError("broken");
    }),
  ]);
  const { id } = await producer.enqueue(job, {}, { uniqueKey: "book-1" });
  await untilState(db, id, "dead");
  const successor = await producer.enqueue(job, {}, { uniqueKey: "book-1", delay: "1h" });
  expect(successor.status).toBe("inserted");

  expect(await requeueDeadJob(db, id)).toEqual({ id, type: "test.unique", isRequeued: false });
  expect((await getJob(db, id))?.state).toBe("dead");

  await db.pool.query("update hark.jobs set run_at = clock_timestamp() where id = $1", [successor.id]);
  await untilState(db, successor.id, "dead");
  expect(await requeueDeadJob(db, id)).toMatchObject({ isRequeued: true });
});
