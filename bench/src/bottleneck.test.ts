import { expect, test } from "vitest";
import { bottleneckOf } from "./bottleneck.ts";

const quiet = { machineCpu: 0.2, walFlush: 0.1, locks: 0, nodeThread: 0.3 };

test("the bottleneck is the fullest part", () => {
  expect(bottleneckOf({ ...quiet, machineCpu: 0.97, walFlush: 0.9 })).toBe("CPU of the machine (97 %)");
  expect(bottleneckOf({ ...quiet, machineCpu: 0.6, walFlush: 0.93 })).toBe("WAL flush (93 % of the time)");
  expect(bottleneckOf({ ...quiet, nodeThread: 0.99 })).toBe("one Node thread (99 % of a core)");
});

test("locks are the bottleneck only where no part is full", () => {
  expect(bottleneckOf({ ...quiet, locks: 0.5 })).toBe("locks (50 % of the active sessions wait)");
  expect(bottleneckOf({ ...quiet, locks: 0.5, machineCpu: 0.99 })).toBe("CPU of the machine (99 %)");
});

test("if no part is full, the result says so and names the fullest", () => {
  expect(bottleneckOf(quiet)).toBe("none is full; nearest: one Node thread (30 % of a core)");
});
