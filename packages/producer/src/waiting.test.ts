import type { Database } from "@hark/core";
import { defineJob, EnqueueTimeoutError, ProducerBusyError } from "@hark/core/internal";
import { afterEach, expect, test, vi } from "vitest";
import type { ProducerOptions } from "./options.ts";
import { createProducer } from "./producer.ts";
import { UniqueLane } from "./unique-lane.ts";

afterEach(() => void vi.useRealTimers());

const job = defineJob("test.plain");
const unique = { uniqueKey: "one" };

/** A database that answers nothing until it is back. */
function away() {
  const still: (() => void)[] = [];
  let isAway = true;
  const inserts: string[] = [];
  const database = {
    pool: { options: { max: 3 } },
    async query({ text, values }: { text: string; values: unknown[] }) {
      if (text.includes("insert_jobs")) inserts.push(values[0] as string);
      if (isAway) await new Promise<void>((resolve) => still.push(resolve));
      if (text.includes("queue_depth")) return { rows: [{ depth: 0 }] };
      return { rows: (JSON.parse(values[0] as string) as unknown[]).map(() => ({ id: 1n, status: "inserted" })) };
    },
  } as unknown as Database;
  const comeBack = () => {
    isAway = false;
    for (const answer of still.splice(0)) answer();
  };
  return { database, inserts, comeBack };
}

const fakeTime = () =>
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });

const producerOn = (database: Database, options: Partial<ProducerOptions> = {}) =>
  createProducer({ database, ...options });

test(
  "while the database stands still, a bounded number of calls waits, and each ends",
  { tags: ["FM-68"] },
  async () => {
    fakeTime();
    const { database, comeBack } = away();
    const producer = producerOn(database);
    const ended = { timeout: 0, busy: 0, other: 0 };
    let open = 0;
    let mostOpen = 0;
    for (let second = 0; second < 60; second += 1) {
      for (let call = 0; call < 1_000; call += 1) {
        open += 1;
        void producer
          .enqueue(job, { text: "x".repeat(100) }, call === 0 ? unique : {})
          .then(
            () => (ended.other += 1),
            (error: unknown) => {
              if (error instanceof EnqueueTimeoutError) ended.timeout += 1;
              else if (error instanceof ProducerBusyError) ended.busy += 1;
              else ended.other += 1;
            },
          )
          .finally(() => (open -= 1));
      }
      await vi.advanceTimersByTimeAsync(1_000);
      mostOpen = Math.max(mostOpen, open);
    }
    await vi.advanceTimersByTimeAsync(41_000);

    expect(mostOpen).toBeLessThanOrEqual(10_000);
    expect(open).toBe(0);
    expect(ended.other).toBe(0);
    expect(ended.timeout).toBeGreaterThan(1_000);
    expect(ended.busy).toBeGreaterThan(1_000);

    comeBack();
    expect(await producer.enqueue(job, {})).toMatchObject({ status: "inserted" });
  },
);

test(
  "calls with more than 64 MiB of payload together are refused, unless it is one call",
  { tags: ["FM-68"] },
  async () => {
    const { database, comeBack } = away();
    const producer = producerOn(database);
    const large = { text: "x".repeat(250_000) };
    const many = producer.enqueueMany(Array.from({ length: 400 }, () => ({ job, payload: large })));
    await new Promise((resolve) => setImmediate(resolve)); // until all of them are checked
    const more = producer.enqueue(job, large).catch((error: unknown) => error);
    expect(await more).toMatchObject({
      code: "PRODUCER_BUSY",
      message: expect.stringContaining("Nothing was written") as string,
    });
    comeBack();
    expect(await many).toHaveLength(400);
  },
);

test("a hundred thousand calls at once are taken by a database that answers", async () => {
  const { database, comeBack } = away();
  comeBack();
  const producer = producerOn(database);
  const answers = await Promise.all(Array.from({ length: 100_000 }, (_, n) => producer.enqueue(job, n)));
  expect(answers).toHaveLength(100_000);
});

test("every kind of call ends though a borrowed pool gives no connection", { tags: ["FM-68"] }, async () => {
  fakeTime();
  const { database, inserts } = away();
  const producer = producerOn(database);
  const limited = producerOn(database, { maxDepth: 10 });
  const calls = Promise.allSettled([
    producer.enqueue(job, 1),
    producer.enqueue(job, 2, unique),
    producer.enqueue(job, 20, unique),
    producer.enqueue(job, 3, unique),
    producer.enqueueMany([{ job, payload: 4 }]),
    producer.enqueueMany([{ job, payload: 5, options: unique }]),
    limited.enqueue(job, 6),
    producer.in({ query: () => new Promise(() => {}), getTransactionStatus: () => "T" } as never).enqueue(job, 7),
  ]);
  await vi.advanceTimersByTimeAsync(41_000);
  const isSent = (await calls).map((call) => {
    expect(call.status === "rejected" && call.reason).toBeInstanceOf(EnqueueTimeoutError);
    return ((call as PromiseRejectedResult).reason as EnqueueTimeoutError).facts["isSent"];
  });
  expect(isSent).toEqual([true, true, true, false, true, true, false, true]);
  expect(inserts.join("")).not.toMatch(/"payload":[36]/);
});

test("an insert whose caller was told that nothing was written is never sent", { tags: ["FM-68"] }, async () => {
  fakeTime();
  const { database, inserts, comeBack } = away();
  const producer = producerOn(database);
  const calls = Promise.allSettled(
    [1, 2, 3].flatMap((n) => [producer.enqueue(job, n), producer.enqueue(job, -n, unique)]),
  );
  await vi.advanceTimersByTimeAsync(1);
  const late = producer.enqueue(job, "late").catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(41_000);
  await calls;
  comeBack();
  await vi.advanceTimersByTimeAsync(41_000);
  const { facts } = (await late) as EnqueueTimeoutError;
  expect(inserts.join("").includes("late")).toBe(facts["isSent"]);
  expect(inserts.join("")).not.toContain('"payload":-3');
});

test("work of one key takes turns, and work without a place waits for one", async () => {
  const lane = new UniqueLane(2);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve) => ends.push(resolve));
  };
  const end = async (place: number) => {
    ends[place]!();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const all = ["a1", "a2", "b1", "c1"].map((name) => lane.run(name[0], work(name)));
  all.push(lane.run(undefined, work("many")));
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual(["a1", "b1"]);
  await end(1);
  expect(begun).toEqual(["a1", "b1", "c1"]);
  await end(0);
  expect(begun).toEqual(["a1", "b1", "c1", "many"]);
  await end(2);
  expect(begun).toEqual(["a1", "b1", "c1", "many", "a2"]);
  await end(3);
  await end(4);
  await Promise.all(all);
});
