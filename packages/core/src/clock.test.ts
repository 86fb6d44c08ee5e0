import { expect, test } from "vitest";
import { parseDuration } from "./clock.ts";

test.each([
  [1_500, 1_500],
  ["500ms", 500],
  ["30s", 30_000],
  ["1.5m", 90_000],
  ["2h", 7_200_000],
  ["7d", 604_800_000],
] as const)("%s is %d ms", (duration, ms) => {
  expect(parseDuration("delay", duration)).toBe(ms);
});

test.each(["", "5", "5 minutes", "-1s", "1e3s", Number.NaN, -1, Number.POSITIVE_INFINITY, 3.2e12, null, undefined, {}])(
  "%s is refused as a duration",
  (duration) => {
    expect(() => parseDuration("delay", duration as never)).toThrow(/delay was refused/);
  },
);
