import { expect, test } from "vitest";
import { parseDuration, withDeadline } from "./clock.ts";

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

test("a deadline gives the work's result, its error, the signal's reason, or late, whichever comes first", async () => {
  const never = new Promise<string>(() => {});
  const running = new AbortController();
  expect(await withDeadline(Promise.resolve("done"), 60_000, running.signal)).toBe("done");
  expect(await withDeadline(never, 1, running.signal)).toBe("late");
  expect(await withDeadline(never, Number.NEGATIVE_INFINITY, running.signal)).toBe("late");
  await expect(withDeadline(Promise.reject(new Error("failed")), 60_000, running.signal)).rejects.toThrow("failed");

  const waiting = withDeadline(never, 60_000, running.signal);
  running.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(withDeadline(Promise.resolve("done"), 60_000, running.signal)).rejects.toThrow("enough");
});
