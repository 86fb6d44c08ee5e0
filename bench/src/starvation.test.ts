import { expect, test } from "vitest";
import { starvationOf } from "./starvation.ts";

const job = (claimedAt: number, startedAt: number, endedAt: number) => ({ claimedAt, startedAt, endedAt });
const options = { slots: 1, fromMs: 100 };

test("a process with a free slot starves while another holds unstarted jobs", () => {
  const hoarder = [job(0, 0, 500), job(0, 500, 1_000), job(0, 1_000, 1_500)];
  const starved = [job(0, 0, 100)];
  // From the end of its only job until the hoarder starts its last one.
  expect(starvationOf([hoarder, starved], options)).toEqual({ longestMs: 900, times: 1, totalMs: 900 });
});

test("a process starves if only one of its slots is taken", () => {
  const hoarder = [job(0, 0, 500), job(0, 0, 500), job(0, 500, 600)];
  const half = [job(0, 0, 700)];
  expect(starvationOf([hoarder, half], { slots: 2, fromMs: 100 }).longestMs).toBe(500);
  expect(starvationOf([hoarder, half], options).longestMs).toBe(0);
});

test("an unclaimed job starves no process", () => {
  const busy = [job(0, 0, 500), job(500, 500, 1_000)]; // claimed when a slot was free
  const idle = [job(0, 0, 100)];
  expect(starvationOf([busy, idle], options).longestMs).toBe(0);
});

test("a process that holds jobs itself does not starve, even if it starts them late", () => {
  const one = [job(0, 0, 500), job(0, 500, 600)];
  const other = [job(0, 300, 310)];
  expect(starvationOf([one, other], options).longestMs).toBe(190);
});

test("starvation times above the minimum are counted one by one", () => {
  const hoarder = [job(0, 0, 1_000), job(0, 1_000, 1_001)];
  const fed = [job(0, 0, 10), job(300, 300, 310), job(360, 360, 800)];
  expect(starvationOf([hoarder, fed], options)).toEqual({ longestMs: 290, times: 2, totalMs: 290 + 50 + 200 });
});

test("a claim that the database reports shortly after the start counts from the start", () => {
  expect(starvationOf([[job(5, 4, 500)], [job(0, 0, 1)]], options).longestMs).toBe(0);
});
