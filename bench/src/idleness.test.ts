import { expect, test } from "vitest";
import { longestIdleness } from "./idleness.ts";

test("a process that has nothing to run while another hoards unstarted jobs is idle until the last of them starts", () => {
  const hoarder = [
    { startedAt: 0, endedAt: 500 },
    { startedAt: 500, endedAt: 1_000 },
    { startedAt: 1_000, endedAt: 1_500 },
  ];
  const starved = [{ startedAt: 0, endedAt: 100 }];
  expect(longestIdleness([hoarder, starved])).toBe(900);
});

test("a process is busy while any of its jobs runs, and what comes after the last start is no idleness", () => {
  const overlapping = [
    { startedAt: 0, endedAt: 300 },
    { startedAt: 50, endedAt: 100 },
    { startedAt: 310, endedAt: 320 },
  ];
  expect(longestIdleness([overlapping, [{ startedAt: 0, endedAt: 1_000 }]])).toBe(10);
});

test("a gap between two jobs counts, and so does a process that runs nothing at all", () => {
  expect(
    longestIdleness([
      [
        { startedAt: 0, endedAt: 10 },
        { startedAt: 60, endedAt: 70 },
      ],
    ]),
  ).toBe(50);
  expect(
    longestIdleness([
      [
        { startedAt: 0, endedAt: 10 },
        { startedAt: 60, endedAt: 70 },
      ],
      [],
    ]),
  ).toBe(60);
});
