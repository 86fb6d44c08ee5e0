import { expect, test } from "vitest";
import { spreadOf, waitsOf } from "./waits.ts";

const alive = { fromAt: 0, untilAt: Number.POSITIVE_INFINITY };
const attempt = (readyAt: number, startedAt: number, finishedAt: number) => ({ readyAt, startedAt, finishedAt });

test("attempts that become ready while a slot is free are separated from those that wait for one", () => {
  const attempts = [
    attempt(0, 2, 100), // both slots are free
    attempt(10, 13, 50), // one slot is free
    attempt(20, 51, 80), // no slot is free
    attempt(60, 82, 90), // one runs, and another was ready before it
    attempt(100, 104, 110), // all have finished, the last one at this moment
  ];
  expect(waitsOf(attempts, [{ slots: 2, ...alive }])).toEqual({
    withFreeSlot: [2, 3, 4],
    withoutFreeSlot: [31, 22],
  });
});

test("if jobs become ready at once, as many find a slot as there are slots", () => {
  const attempts = [3, 1, 2].map((wait) => attempt(0, wait, 50));
  expect(waitsOf(attempts, [{ slots: 2, ...alive }])).toEqual({ withFreeSlot: [1, 2], withoutFreeSlot: [3] });
});

test("slots count from the start of their worker until it is declared dead", () => {
  const rooms = [
    { slots: 1, fromAt: 10, untilAt: 100 },
    { slots: 1, fromAt: 50, untilAt: Number.POSITIVE_INFINITY },
  ];
  const attempts = [attempt(0, 11, 12), attempt(20, 21, 200), attempt(60, 61, 200), attempt(110, 201, 210)];
  expect(waitsOf(attempts, rooms)).toEqual({ withFreeSlot: [1, 1], withoutFreeSlot: [11, 91] });
});

test("a spread has the median and the 99th percentile, and does not exist without times", () => {
  expect(spreadOf([])).toBeUndefined();
  expect(spreadOf([5])).toEqual({ count: 1, p50: 5, p99: 5 });
  expect(spreadOf(Array.from({ length: 200 }, (_, place) => 200 - place))).toEqual({ count: 200, p50: 100, p99: 198 });
});
