import { expect, test } from "vitest";
import { checkKeys, tallyOf } from "./run.ts";

const reportOf = (...counts: number[]) => ({
  counts: Uint8Array.from(counts),
  startedAt: Float64Array.from(counts, (count, n) => (count ? n + 1 : 0)),
  endedAt: Float64Array.from(counts, (count, n) => (count ? n + 2 : 0)),
  overlaps: 0,
  cpuMicros: 10,
  heapBytes: 0,
});

test("jobs that two processes share are tallied together", () => {
  const tally = tallyOf([reportOf(1, 0, 1), reportOf(0, 1, 0)], 3, "hark");
  expect(tally.handled).toBe(3);
  expect([...tally.startedAt]).toEqual([1, 2, 3]);
  expect(tally.cpuMicros).toBe(20);
});

test("a job that two processes handled fails the run", () => {
  expect(() => tallyOf([reportOf(1, 0), reportOf(1, 1)], 0, "hark")).toThrow("job 0 was handled 2 times");
});

test("a job that was not handled fails a complete run, but not a run that was cut", () => {
  expect(() => tallyOf([reportOf(1, 0)], 2, "hark")).toThrow("job 1 was handled 0 times");
  expect(tallyOf([reportOf(1, 0)], 0, "hark").handled).toBe(1);
});

test("two jobs with one key that ran at the same time fail the run", () => {
  expect(() => checkKeys([reportOf(1), { ...reportOf(1), overlaps: 3 }], "hark")).toThrow("3 jobs started while");
  expect(() => checkKeys([reportOf(1)], "hark")).not.toThrow();
});
