import { expect, test } from "vitest";
import { ArrivalRate } from "./arrival-rate.ts";

/** A rate after `claims` of `found` jobs each, `gapMs` apart, and the time of the last one. */
function after(claims: number, found: number, gapMs: number): { rate: ArrivalRate; now: number } {
  const rate = new ArrivalRate();
  let now = 1_000;
  for (let claim = 0; claim < claims; claim += 1) rate.count(found, (now += gapMs));
  return { rate, now };
}

test("a queue whose claims found no job is not busy", () => {
  expect(new ArrivalRate().isBusy(0)).toBe(false);
});

test("a queue is busy after about ten jobs in a row, or after several claims of many jobs", () => {
  for (const [claims, found, gapMs, isBusy] of [
    [9, 1, 2, false],
    [13, 1, 2, true],
    [9, 100, 1, false],
    [10, 100, 1, true],
  ] as const) {
    const { rate, now } = after(claims, found, gapMs);
    expect(rate.isBusy(now), `${claims} claims of ${found}`).toBe(isBusy);
  }
});

test("a queue whose jobs come more than 4 ms apart is never busy", () => {
  const slow = after(1_000, 1, 4.1);
  expect(slow.rate.isBusy(slow.now)).toBe(false);
  const quick = after(1_000, 1, 3.9);
  expect(quick.rate.isBusy(quick.now)).toBe(true);
});

test("a busy queue is no longer busy once no job has come for 4 ms", () => {
  const { rate, now } = after(100, 1, 1);
  expect([rate.isBusy(now + 3.9), rate.isBusy(now + 4)]).toEqual([true, false]);
});
