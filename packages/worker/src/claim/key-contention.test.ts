import { expect, test } from "vitest";
import { KeyContention } from "./key-contention.ts";

/** What claims met, on a clock that the test moves, in ms. */
function contentionOnClock() {
  let nowMs = 0;
  const contention = new KeyContention({ now: () => nowMs });
  const after = (ms: number) => {
    nowMs += ms;
    return [contention.isBestAlone, contention.isWithOthers];
  };
  return { contention, after };
}

test("the first claim that meets another at a key makes claims go one at a time, and the second step over", () => {
  const { contention, after } = contentionOnClock();
  expect(after(0)).toEqual([false, false]);
  contention.met();
  expect(after(0)).toEqual([true, false]);
  contention.met();
  expect(after(0)).toEqual([true, true]);
});

test("after ten minutes without a meeting, claims are sent as before", () => {
  const { contention, after } = contentionOnClock();
  contention.met();
  expect(after(599_999)).toEqual([true, false]);
  contention.met();
  expect(after(599_999)).toEqual([true, true]);
  expect(after(1)).toEqual([false, false]);
  contention.met();
  expect(after(0)).toEqual([true, false]);
});
