import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Promoter } from "./promoter.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test(
  "a promoter that has failed for a while looks as soon as the listener is back, without waiting for its rest to end",
  { tags: ["FM-47"] },
  async () => {
    let isDown = true;
    const looks: number[] = [];
    const query = async () => {
      looks.push(performance.now());
      if (isDown) throw new Error("connect ECONNREFUSED");
      return { rows: [{ promoted: 0, next_due_in_ms: null, next_due_at_ms: null, looked_at_ms: Date.now() }] };
    };
    let hear: (payload: string | undefined) => void = () => {};
    const notifications = { on: (_: string, heard: typeof hear) => ((hear = heard), () => {}) };
    const promoter = new Promoter({
      db: { query } as unknown as Database,
      notifications,
      horizonMs: 7_500,
      logger: silentLogger,
    });
    promoter.start();
    await vi.advanceTimersByTimeAsync(60_000); // the rests after a failure have grown to some seconds
    const before = looks.length;
    while (looks.length === before) await vi.advanceTimersByTimeAsync(10); // just now, and it failed
    const failed = looks.length;

    isDown = false;
    hear("12345"); // a job is scheduled, which does not prove that the database works again
    await vi.advanceTimersByTimeAsync(200);
    expect(looks).toHaveLength(failed);
    hear(undefined);
    await vi.advanceTimersByTimeAsync(100);

    expect(looks).toHaveLength(failed + 1);
    await Promise.all([promoter.stop(), vi.advanceTimersByTimeAsync(1)]);
  },
);

test("a promoter sleeps until the earliest job is due, and leaves what is due after the next poll to the poll", async () => {
  const nextDues = [3_000, 20_000, 100, null, null];
  const looks: number[] = [];
  const query = async () => {
    looks.push(performance.now());
    const dueInMs = nextDues.shift() ?? null;
    const dueAtMs = dueInMs === null ? null : Date.now() + dueInMs;
    return { rows: [{ promoted: 0, next_due_in_ms: dueInMs, next_due_at_ms: dueAtMs, looked_at_ms: Date.now() }] };
  };
  const promoter = new Promoter({
    db: { query } as unknown as Database,
    notifications: { on: () => () => {} },
    horizonMs: 7_500,
    logger: silentLogger,
  });
  const startedAt = performance.now();
  promoter.start();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(promoter.awaitsPoll).toBe(false);
  promoter.dueIn(10); // it is awake, and will look by itself
  await vi.advanceTimersByTimeAsync(60_000);
  expect(looks.map((at) => at - startedAt)).toEqual([0, 3_000]);

  expect(promoter.awaitsPoll).toBe(true);
  promoter.dueIn(8_000); // the next poll comes before
  await vi.advanceTimersByTimeAsync(10);
  expect(looks).toHaveLength(2);
  promoter.dueIn(100);
  await vi.advanceTimersByTimeAsync(110);
  expect(looks).toHaveLength(4);
  await Promise.all([promoter.stop(), vi.advanceTimersByTimeAsync(1)]);
});
