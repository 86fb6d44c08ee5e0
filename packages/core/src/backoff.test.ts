import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs, defaultBackoff, parseBackoff } from "./backoff.ts";

const halfway = () => 0.5; // the middle of the jitter: none

test("the waits are 1, 2, 4 and 8 seconds", () => {
  expect([1, 2, 3, 4].map((attempt) => backoffMs(defaultBackoff, attempt, halfway))).toEqual([
    1_000, 2_000, 4_000, 8_000,
  ]);
});

test(
  "every wait is finite, inside its jitter window, and never shorter than the one before until the cap (FM-28)",
  { tags: ["FM-28", "FM-29"] },
  () => {
    fc.assert(
      fc.property(
        fc.record({
          baseMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
          factor: fc.double({ min: 1, max: 1_000, noNaN: true }),
          capMs: fc.double({ min: 0, max: 3e12, noNaN: true }),
          jitter: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (backoff, attempt, roll) => {
          const middle = backoffMs(backoff, attempt, halfway);
          const wait = backoffMs(backoff, attempt, () => roll);
          expect(Number.isFinite(wait)).toBe(true);
          expect(wait).toBeGreaterThanOrEqual(middle * (1 - backoff.jitter) - 1e-6);
          expect(wait).toBeLessThanOrEqual(middle * (1 + backoff.jitter) * (1 + 1e-12) + 1e-6);
          expect(middle).toBeLessThanOrEqual(backoff.capMs);
          expect(backoffMs(backoff, attempt + 1, halfway)).toBeGreaterThanOrEqual(middle);
        },
      ),
      { numRuns: 5_000 },
    );
  },
);

test("a backoff that cannot be one is refused with the field's name", () => {
  expect(() => parseBackoff({ factor: 0.5 })).toThrow(/factor: must be between 1 and 1000/);
  expect(() => parseBackoff({ jitter: 2 })).toThrow(/jitter/);
  expect(() => parseBackoff({ base: "soon" as never })).toThrow(/no duration/);
});
