import { expect, test } from "vitest";
import { median, percentile, rateBetween } from "./statistics.ts";

test("a percentile is one of the measured values, in whatever order they came", () => {
  const values = Array.from({ length: 100 }, (_, n) => 100 - n); // 100 down to 1
  expect(percentile(values, 0.5)).toBe(51);
  expect(percentile(values, 0.99)).toBe(100);
  expect(percentile(values, 1)).toBe(100);
  expect(percentile([], 0.5)).toBeNaN();
});

test("a median is the middle value, or the mean of the two in the middle", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([1, 9, 5, 7])).toBe(6);
  expect(median([])).toBeNaN();
});

test("the rates of the first and the last fifth show a queue that slows down", () => {
  const samples = [
    { atMs: 0, count: 0 },
    { atMs: 5_000, count: 50_000 },
    { atMs: 10_000, count: 75_000 },
  ];
  expect(rateBetween(samples, 0, 0.2)).toBeCloseTo(10_000);
  expect(rateBetween(samples, 0.8, 1)).toBeCloseTo(5_000);
  expect(rateBetween(samples, 0, 1)).toBeCloseTo(7_500);
});
