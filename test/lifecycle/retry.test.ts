import { defineJob, getJob, RetryAfterError, SnoozeError } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";
import { makeDue } from "../support/pass-time.ts";

test("a failed job is retried after the backoff, and every attempt's ending is recorded", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.flaky", { queue, retry: { attempts: 4, backoff: { base: "1m", factor: 3 } } });
  const seen: number[] = [];
  const handler = implement(job, ({ attempt }) => {
    seen.push(attempt);
    if (attempt < 3) throw new Error(`attempt ${attempt} fails`, { cause: new Error("the shop is closed") });
  });
  await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});
  for (const attempt of [1, 2]) {
    await eventually(() => seen.length === attempt, { withinMs: 30_000, what: `attempt ${attempt}` });
    const waiting = await untilState(db, id, "scheduled");
    expect(waiting.attempt).toBe(attempt);
    const line = waiting.attempts.at(-1)!;
    expect(line).toMatchObject({ attempt, ending: "error" });
    expect(line.error).toMatch(
      new RegExp(`^Error: attempt ${attempt} fails\n.*caused by Error: the shop is closed`, "s"),
    );
    const delayMs = waiting.runAt.getTime() - line.finishedAt.getTime();
    const wantedMs = 60_000 * 3 ** (attempt - 1);
    expect(delayMs).toBeGreaterThan(wantedMs * 0.899);
    expect(delayMs).toBeLessThan(wantedMs * 1.101);
    expect(line.retryAt).toEqual(waiting.runAt);
    await makeDue(db, id);
  }

  const done = await untilState(db, id, "completed");
  expect(seen).toEqual([1, 2, 3]);
  expect(done.attempts.map(({ attempt, ending }) => [attempt, ending])).toEqual([
    [1, "error"],
    [2, "error"],
    [3, "completed"],
  ]);
});

test("retryAfter replaces the backoff, and the attempt counts", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.throttled", { queue });
  await startWorker([implement(job, (context) => context.retryAfter("1h", "503, Retry-After: 3600"))]);

  const { id } = await producer.enqueue(job, {});

  const waiting = await untilState(db, id, "scheduled");
  expect(waiting.attempt).toBe(1);
  expect(waiting.attempts[0]).toMatchObject({
    ending: "retry_after",
    error: expect.stringContaining("503, Retry-After: 3600"),
  });
  expect(waiting.runAt.getTime() - waiting.attempts[0]!.finishedAt.getTime()).toBeCloseTo(3_600_000, -2);
});

test("a snooze gives the attempt back, any number of times", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.snoozer", { queue, retry: { attempts: 1 } });
  let runs = 0;
  const handler = implement(job, (context) => {
    expect(context.attempt).toBe(1);
    runs += 1;
    if (runs < 5) context.snooze("1h");
  });
  await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});
  for (let snoozes = 1; snoozes < 5; snoozes += 1) {
    await eventually(async () => runs === snoozes && (await getJob(db, id))?.state === "scheduled", {
      withinMs: 30_000,
    });
    expect((await getJob(db, id))!.attempt).toBe(0);
    await makeDue(db, id);
  }

  const done = await untilState(db, id, "completed");
  expect(done.attempt).toBe(1);
  expect(done.attempts.map(({ ending }) => ending)).toEqual(Array(4).fill("snoozed"));
});

test("a retry keeps its id, queue, priority and key, and wakes the worker", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.quick", { queue, retry: { backoff: { base: 1, jitter: 0 } } });
  const seen: [bigint, number, string | undefined][] = [];
  const handler = implement(job, ({ id, priority, key, attempt }) => {
    seen.push([id, priority, key]);
    if (attempt < 3) throw new Error("not yet");
  });
  await startWorker([handler], { pollInterval: "10m", promoteInterval: "10m" });

  const { id } = await producer.enqueue(job, {}, { priority: 7, key: "one" });

  await untilState(db, id, "completed");
  expect(seen).toEqual(Array.from({ length: 3 }, () => [id, 7, "one"]));
});

test(
  "whatever a handler throws, its failure is recorded and its worker continues",
  { tags: ["FM-36"] },
  async ({ db, producer, queue, startWorker }) => {
    const bad = defineJob("test.bad", { queue, retry: { attempts: 1 } });
    const good = defineJob("test.good", { queue });
    const handlers = [
      implement(bad, ({ payload }) => {
        throw thrown[payload as string] as Error;
      }),
      implement(good, () => {}),
    ];
    await startWorker(handlers, { queues: { [queue]: 1 } });

    const ids = new Map<string, bigint>();
    for (const what of Object.keys(thrown)) ids.set(what, (await producer.enqueue(bad, what)).id);
    const last = await producer.enqueue(good, {});

    await untilState(db, last.id, "completed");
    for (const [what, id] of ids) {
      const { error } = await untilState(db, id, "dead");
      expect(error, what).not.toBe("");
      expect(Buffer.byteLength(error!), what).toBeLessThanOrEqual(16_384);
    }
  },
);

/**
 * Thrown values by name (FM-36). None may end the process or keep the failure from being recorded.
 */
const thrown: Record<string, unknown> = {
  "nothing at all": undefined,
  null: null,
  "a symbol": Symbol("odd"),
  "an object that cannot be converted to text": { toJSON: () => JSON.parse("no"), toString: () => JSON.parse("no") },
  "a NUL and half a surrogate pair": new Error("before\0after \ud800"),
  "a message of a megabyte": new Error("x".repeat(1_000_000)),
  "an error whose stack is not text": Object.assign(new Error("odd stack"), { stack: 42 }),
  "an error whose name is not text": Object.assign(new Error("odd name"), { name: Symbol("name") }),
  "an error that throws when it is read": Object.defineProperty(new Error("trap"), "message", {
    get() {
      throw new Error("gotcha");
    },
  }),
  "a circular cause": circle(),
  "a delay that is not a number": new RetryAfterError(Number.NaN),
  "an infinite delay": new RetryAfterError(Number.POSITIVE_INFINITY),
  "a negative delay": new RetryAfterError(-1),
  "an infinite snooze": new SnoozeError(Number.POSITIVE_INFINITY),
};

function circle(): Error {
  const error = new Error("circle");
  error.cause = error;
  return error;
}
