import { type Logger, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Loop, type Next } from "./loop.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => new Promise<Next>(() => {});

// FM-08: a step may wait for something that never comes.
test(
  "a step that never ends is given up after 30 s and counted, its signal is aborted, and the loop goes on",
  { tags: ["FM-08"] },
  async () => {
    const signals: AbortSignal[] = [];
    const errors: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      error: (facts) => errors.push(String((facts as { error: Error }).error)),
    };
    const loop = new Loop({
      name: "hanging",
      restMs: 60_000,
      logger,
      step: (signal) => {
        signals.push(signal);
        return signals.length === 1 ? never() : Promise.resolve("rest");
      },
    });
    loop.start();

    await vi.advanceTimersByTimeAsync(29_999);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(signals[0]!.aborted).toBe(true);
    expect(loop).toMatchObject({ restarts: 1, failures: 1 });
    await vi.advanceTimersByTimeAsync(200); // the first rest after a failure, 0.05 to 0.15 s

    expect(signals).toHaveLength(2);
    expect(loop).toMatchObject({ restarts: 1, failures: 0 });
    expect(errors).toEqual(["Error: no answer after 30000 ms"]);
    await loop.stop();
  },
);

test(
  "a loop whose step hangs can be stopped: its signal is aborted at once, and it waits no longer than for the step",
  { tags: ["FM-08"] },
  async () => {
    let given: AbortSignal | undefined;
    const loop = new Loop({
      name: "stopped",
      restMs: 1,
      logger: silentLogger,
      step: (signal) => {
        given = signal;
        return never();
      },
    });
    loop.start();
    await vi.advanceTimersByTimeAsync(10);
    let isStopped = false;

    const stopped = loop.stop().then(() => (isStopped = true));
    expect(given!.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(30_000);

    await stopped;
    expect(isStopped).toBe(true);
  },
);

test("failures in a row lengthen the rest up to seconds, and one success starts over", async () => {
  const startedAt: number[] = [];
  let isFailing = true;
  const loop = new Loop({
    name: "failing",
    restMs: 1_000_000,
    logger: silentLogger,
    step: () => {
      startedAt.push(performance.now());
      return isFailing ? Promise.reject(new Error("no")) : Promise.resolve("rest");
    },
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(60_000);

  const rests = startedAt.slice(1).map((at, place) => at - startedAt[place]!);
  for (const [place, rest] of rests.entries()) {
    const middle = Math.min(100 * 2 ** place, 5_000);
    expect(rest).toBeGreaterThanOrEqual(middle * 0.5 - 1);
    expect(rest).toBeLessThanOrEqual(middle * 1.5 + 1);
  }
  expect(rests.length).toBeGreaterThan(8);
  expect(loop.failures).toBe(startedAt.length);
  isFailing = false;
  await vi.advanceTimersByTimeAsync(8_000);
  expect(loop.failures).toBe(0);
  await loop.stop();
});

test("a ring during a step causes another step, and a hundred rings cause only one", async () => {
  let steps = 0;
  const step = Promise.withResolvers<Next>();
  const loop = new Loop({
    name: "rung",
    restMs: 1_000_000,
    logger: silentLogger,
    step: () => ((steps += 1), steps === 1 ? step.promise : Promise.resolve("rest")),
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(1);
  for (let rings = 0; rings < 100; rings += 1) loop.wakeUp.ring();
  step.resolve("rest");
  await vi.advanceTimersByTimeAsync(1);

  expect(steps).toBe(2);
  await loop.stop();
});

test("a ring ends a rest, but not one that is uninterruptible", { tags: ["FM-13"] }, async () => {
  const rests: Next[] = [{ restMs: 1_000 }, { restMs: 1_000, isUninterruptible: true }];
  const startedAt: number[] = [];
  const loop = new Loop({
    name: "uninterruptible",
    restMs: 1_000_000,
    logger: silentLogger,
    step: () => (startedAt.push(Date.now()), Promise.resolve(rests.shift() ?? "rest")),
  });
  const beganAt = Date.now();
  loop.start();
  await vi.advanceTimersByTimeAsync(10);
  loop.wakeUp.ring();
  await vi.advanceTimersByTimeAsync(10);
  loop.wakeUp.ring();
  await vi.advanceTimersByTimeAsync(2_000);

  expect(startedAt.map((at) => at - beganAt)).toEqual([0, 10, 1_010]);
  await loop.stop();
});

test("after retry() a loop that fails once more rests briefly, because the outage before does not count", async () => {
  const startedAt: number[] = [];
  const loop = new Loop({
    name: "mended",
    restMs: 1_000_000,
    logger: silentLogger,
    step: () => {
      startedAt.push(performance.now());
      return Promise.reject(new Error("no"));
    },
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(60_000);
  const before = startedAt.length;

  loop.retry();
  await vi.advanceTimersByTimeAsync(0);
  expect(startedAt).toHaveLength(before + 1);
  await vi.advanceTimersByTimeAsync(151); // the first rest after a failure, 0.05 to 0.15 s

  expect(startedAt).toHaveLength(before + 2);
  expect(loop.failures).toBe(before + 2);
  await loop.stop();
});
