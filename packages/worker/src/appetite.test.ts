import { expect, test } from "vitest";
import { Appetite } from "./appetite.ts";

const after = (durationsMs: number[], concurrency = 10) => {
  const appetite = new Appetite(concurrency);
  for (const durationMs of durationsMs) appetite.learn(durationMs);
  return appetite;
};

test("before it knows how long jobs take, it wants only what may run at once", () => {
  expect(after([]).wanted(0)).toBe(10);
  expect(after([]).wanted(9)).toBe(1);
  expect(after([]).wanted(10)).toBe(0);
});

test("it holds ahead what it will start within 50 ms", () => {
  expect(after([5]).ahead).toBe(100);
  expect(after([100]).ahead).toBe(5);
  expect(after([1_000]).ahead).toBe(0);
  expect(after([0]).ahead).toBe(1_000);
});

test("it asks again once half of what it holds ahead is used up, for all that is missing", () => {
  const appetite = after([5]);
  expect(appetite.wanted(110)).toBe(0);
  expect(appetite.wanted(60)).toBe(0);
  expect(appetite.wanted(59)).toBe(51);
});

test("when jobs turn long, it soon holds next to nothing ahead", () => {
  const appetite = after([...Array<number>(100).fill(1), 1_000, 1_000, 1_000]);
  expect(appetite.ahead).toBeLessThan(5);
});

test("when slots are stuck it holds nothing ahead, until short jobs have told otherwise", () => {
  const appetite = after([1, 1, 1]);
  appetite.stall();
  expect(appetite.ahead).toBe(0);
  for (let n = 0; n < 100; n += 1) appetite.learn(1);
  expect(appetite.ahead).toBeGreaterThan(50);
});
