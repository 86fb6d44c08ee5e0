import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TypedEvent } from "../runtime/event.ts";
import { vacuum } from "./vacuum.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A vacuum part on a database where each vacuum takes this long, in ms, or fails after it. */
async function vacuumTaking(...takes: { ms: number; fails?: true }[]) {
  const startedAt = performance.now();
  const at: number[] = [];
  const query = async ({ text }: { text: string }) => {
    expect(text).toMatch(/^vacuum /);
    at.push(performance.now() - startedAt);
    const { ms, fails } = takes.shift()!;
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (fails) throw new Error("canceling statement due to statement timeout");
    return { rows: [] };
  };
  const moved = new TypedEvent<number>();
  const loop = vacuum({ db: { query } as unknown as Database, moved, logger: silentLogger });
  loop.start();
  await vi.advanceTimersByTimeAsync(0);
  const stop = () => Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(10_000)]);
  return { moved, at, stop };
}

test("a vacuum starts after every 250,000 moved jobs, however few move at once", async () => {
  const { moved, at, stop } = await vacuumTaking({ ms: 0 }, { ms: 0 });
  for (let jobs = 0; jobs < 249_000; jobs += 1_000) moved.emit(1_000);
  await vi.advanceTimersByTimeAsync(7_200_000);
  expect(at).toEqual([]);

  moved.emit(1_000);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(at).toEqual([7_200_000]);
  for (let jobs = 0; jobs < 250_000; jobs += 1_000) moved.emit(1_000);
  await vi.advanceTimersByTimeAsync(0);
  expect(at).toEqual([7_200_000, 7_201_000]);
  await stop();
});

test("vacuums take at most 1/21 of the time, and jobs that move meanwhile still count", async () => {
  const { moved, at, stop } = await vacuumTaking({ ms: 2_000 }, { ms: 100 }, { ms: 0 });
  moved.emit(250_000);
  await vi.advanceTimersByTimeAsync(1_000);
  moved.emit(250_000); // while the first is at it
  await vi.advanceTimersByTimeAsync(40_999);
  expect(at).toEqual([0]);
  await vi.advanceTimersByTimeAsync(2);
  moved.emit(1_000_000);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(at).toEqual([0, 42_000, 44_100]);
  await stop();
});

test("a vacuum that its deadline ended does not start again at once", async () => {
  const { moved, at, stop } = await vacuumTaking({ ms: 4_500, fails: true }, { ms: 0 });
  moved.emit(250_000);
  await vi.advanceTimersByTimeAsync(4_500);
  moved.emit(250_000);
  await vi.advanceTimersByTimeAsync(89_999);
  expect(at).toEqual([0]);
  await vi.advanceTimersByTimeAsync(1);
  expect(at).toEqual([0, 94_500]);
  await stop();
});
