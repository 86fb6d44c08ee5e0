import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs, defaultBackoff } from "./backoff.ts";
import { longestStretchMs, RetryBudget } from "./retry-budget.ts";

/** A budget, and a clock that a test moves. */
function makeBudget() {
  let now = 5_000;
  const budget = new RetryBudget({ now: () => now });
  return {
    budget,
    moveTo: (ms: number) => (now = ms),
    /** When a retry that is to wait so long is due, in ms of the clock. */
    dueAfter: (delayMs: number) => now + budget.spend(delayMs),
  };
}

/** The most of some moments that lie within any one second. */
function mostInASecond(moments: readonly number[]): number {
  const sorted = moments.toSorted((a, b) => a - b);
  let [most, first] = [0, 0];
  for (const [place, at] of sorted.entries()) {
    while (sorted[first]! <= at - 1_000) first += 1;
    most = Math.max(most, place - first + 1);
  }
  return most;
}

test("twenty retries a second wait as long as their backoff says", () => {
  const { budget, moveTo } = makeBudget();
  for (let slot = 0; slot < 1_000; slot += 1) {
    moveTo(slot * 250);
    expect(Array.from({ length: 5 }, () => budget.spend(1_000))).toEqual(Array(5).fill(1_000));
  }
});

test(
  "of many retries for one moment a sixteenth at most is due in any second, none early and none 20 s late",
  { tags: ["FM-29"] },
  () => {
    for (const count of [400, 1_000, 5_000]) {
      const { dueAfter } = makeBudget();
      const due = Array.from({ length: count }, () => dueAfter(1_000));
      expect(mostInASecond(due)).toBeLessThanOrEqual(5 * Math.ceil(count / 80));
      expect(Math.min(...due)).toBe(6_000);
      expect(Math.max(...due)).toBeLessThan(6_000 + longestStretchMs);
    }
  },
);

test(
  "however jobs failed in an outage, a sixteenth of them at most is tried again in any second after it",
  { tags: ["FM-29"] },
  () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 300, maxLength: 1_000 }),
        fc.integer({ min: 1, max: 30 }), // one of so many fails at its moment, the others when the outage begins
        (moments, oneOf) => {
          const { moveTo, dueAfter } = makeBudget();
          const toFail = moments.map((at, place) => ({ at: place % oneOf === 0 ? at : 0, attempt: 1 }));
          const healed: number[] = [];
          for (let queue = toFail; queue.length > 0;) {
            queue.sort((a, b) => b.at - a.at);
            const { at, attempt } = queue.pop()!;
            moveTo(at);
            const again = dueAfter(backoffMs(defaultBackoff, attempt));
            if (again < 30_000) queue.push({ at: again, attempt: attempt + 1 });
            else healed.push(again);
          }
          expect(healed.length).toBe(moments.length);
          expect(mostInASecond(healed)).toBeLessThanOrEqual(5 * Math.max(Math.ceil(moments.length / 80), 5));
        },
      ),
      { numRuns: 30 },
    );
  },
);

test("a queue that fails all the time has its retries 20 s late at most, however many they are", () => {
  const { moveTo, dueAfter } = makeBudget();
  for (let ms = 0; ms < 60_000; ms += 5) {
    moveTo(ms);
    expect(dueAfter(1_000) - ms).toBeLessThan(1_000 + longestStretchMs);
  }
});

test("a wait of hours is as long as it was, but for a few seconds", () => {
  const { budget } = makeBudget();
  for (const delayMs of [3_600_001, 86_400_000, 3e12]) {
    const stretch = budget.spend(delayMs) - delayMs;
    expect(stretch).toBeGreaterThanOrEqual(0);
    expect(stretch).toBeLessThanOrEqual(longestStretchMs);
  }
});

test("only the retry of an attempt that failed is counted", { tags: ["FM-29"] }, () => {
  const { budget } = makeBudget();
  const scheduled = { state: "scheduled", delayMs: 1_000, attempt: 1, error: null } as const;
  for (let count = 0; count < 1_000; count += 1) {
    const snoozed = { ...scheduled, ending: "snoozed" } as const;
    expect(budget.spread(snoozed)).toBe(snoozed);
  }
  const failed = { ...scheduled, ending: "error", error: "Error: no" } as const;
  const waits = Array.from({ length: 6 }, () => (budget.spread(failed) as typeof failed).delayMs);
  expect(waits.filter((ms) => ms === 1_000)).toHaveLength(5);
});
