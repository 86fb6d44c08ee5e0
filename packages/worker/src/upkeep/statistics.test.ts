import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TypedEvent } from "../runtime/event.ts";
import { statistics } from "./statistics.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("deltas are folded once a minute while outcomes are written, and every ten minutes otherwise", async () => {
  let folds = 0;
  const query = async () => {
    folds += 1;
    return { rows: [{ folded: 3 }] };
  };
  const moved = new TypedEvent<number>();
  const loop = statistics({ db: { query } as unknown as Database, moved, logger: silentLogger });
  loop.start();
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  expect(folds).toBeGreaterThanOrEqual(6);
  expect(folds).toBeLessThanOrEqual(8);

  folds = 0;
  for (let minute = 0; minute < 10; minute += 1) {
    moved.emit(1);
    await vi.advanceTimersByTimeAsync(60_000);
  }
  expect(folds).toBeGreaterThanOrEqual(8);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);
});
