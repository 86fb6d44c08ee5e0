import { EnqueueTimeoutError, type Queryable } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { afterEach, expect, test, vi } from "vitest";
import { Coalescer } from "./coalescer.ts";

afterEach(() => void vi.useRealTimers());

/**
 * A database that returns ids in order. `answer` gets the payloads of each insert, and may delay or
 * refuse it.
 */
function database(answer: (payloads: unknown[]) => void | Promise<void>): Queryable & { inserts: unknown[][] } {
  const inserts: unknown[][] = [];
  let lastId = 0n;
  return {
    inserts,
    async query({ values }) {
      const jobs = JSON.parse(values[0] as string) as { payload: unknown }[];
      const payloads = jobs.map(({ payload }) => payload);
      inserts.push(payloads);
      await answer(payloads);
      return { rows: payloads.map(() => ({ id: (lastId += 1n), status: "inserted" })) };
    },
  };
}

const aJob = (payload: unknown): statements.NewJob => ({
  type: "test.plain",
  queue: "q",
  payloadJson: JSON.stringify(payload),
  priority: 0,
  maxAttempts: 3,
  key: undefined,
  uniqueKey: undefined,
  runAt: undefined,
  delayMs: undefined,
});

const numbers = Array.from({ length: 100 }, (_, n) => n);
const nextTurn = () => new Promise<void>((resolve) => void setImmediate(resolve));

/**
 * Returns the result of `work` through a chain of `promises` async calls, as in a caller's code.
 */
async function through<Answer>(promises: number, work: () => Promise<Answer>): Promise<Answer> {
  return promises === 0 ? await work() : await through(promises - 1, work);
}

test("callers that await each enqueue share one insert, even if one of them began earlier", async () => {
  const callers: Promise<void>[] = [];
  const db = database(() => {
    if (callers.length === 1) for (let n = 1; n < 16; n += 1) callers.push(caller()); // while the first waits
    return nextTurn();
  });
  const coalescer = new Coalescer(db, 3);
  const caller = async () => {
    for (let round = 0; round < 20; round += 1) await through(8, () => coalescer.insert(aJob(round)));
  };

  callers.push(caller());
  await callers[0];
  await Promise.all(callers);

  expect(db.inserts.flat()).toHaveLength(16 * 20);
  expect(db.inserts.length).toBeLessThanOrEqual(22); // two alternating groups would need about 40
});

test("a job that the database refuses is found by bisecting, and the others keep their order", async () => {
  const db = database((payloads) => {
    if (payloads.includes(13)) throw Object.assign(new Error("unlucky"), { code: "P0001" });
  });
  const coalescer = new Coalescer(db, 3);

  const answers = await Promise.allSettled(numbers.map((n) => coalescer.insert(aJob(n))));

  expect(answers.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([13]);
  const ids = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value.id] : []));
  expect(ids).toEqual(numbers.slice(1).map(BigInt));
  expect(db.inserts.length).toBeLessThanOrEqual(1 + 2 * Math.ceil(Math.log2(100)));
});

test("an insert is not sent again after an error that does not reject its rows", { tags: ["FM-30"] }, async () => {
  for (const code of ["ECONNRESET", "57P01", "40001", "57014", undefined]) {
    const db = database(() => {
      throw Object.assign(new Error("broken"), { code });
    });
    const coalescer = new Coalescer(db, 3);

    const answers = await Promise.allSettled(numbers.map((n) => coalescer.insert(aJob(n))));

    expect(answers.every(({ status }) => status === "rejected")).toBe(true);
    expect(db.inserts).toHaveLength(1);
  }
});

test("an insert that gets no answer fails its callers, and does not block later inserts for ever", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const db = database((payloads) => (payloads.includes("lost") ? new Promise<void>(() => {}) : undefined));
  const coalescer = new Coalescer(db, 3);
  const lost = coalescer.insert(aJob("lost")).catch((error: unknown) => error);
  await nextTurn();
  const next = coalescer.insert(aJob("next"));

  await vi.advanceTimersByTimeAsync(20_000);

  expect(await lost).toBeInstanceOf(EnqueueTimeoutError);
  expect(await next).toMatchObject({ status: "inserted" });
});

test("an insert holds at most 1,000 jobs, and at most 4 MiB of payload unless one job has more", async () => {
  const db = database(nextTurn);
  const coalescer = new Coalescer(db, 3);
  const large = "x".repeat(250_000);

  await Promise.all(Array.from({ length: 2_500 }, (_, n) => coalescer.insert(aJob(n))));
  expect(db.inserts.map((payloads) => payloads.length)).toEqual([1_000, 1_000, 500]);
  db.inserts.length = 0;
  await Promise.all(Array.from({ length: 20 }, () => coalescer.insert(aJob(large))));
  expect(db.inserts.map((payloads) => payloads.length)).toEqual([16, 4]);
});
