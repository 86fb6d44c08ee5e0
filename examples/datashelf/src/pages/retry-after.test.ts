import { expect, test } from "vitest";
import { maxRetryAfterMs, parseRetryAfter } from "./retry-after.ts";

const nowMs = Date.UTC(1994, 10, 6, 8, 49, 37);
const parse = (value: string | null) => parseRetryAfter(value, { nowMs });

test("seconds", () => {
  expect(parse("2")).toBe(2000);
  expect(parse(" 0 ")).toBe(0);
});

test.each(["Sun, 06 Nov 1994 08:49:40 GMT", "Sunday, 06-Nov-94 08:49:40 GMT", "Sun Nov  6 08:49:40 1994"])(
  "a date in its form %s",
  (date) => {
    expect(parse(date)).toBe(3000);
  },
);

test("a date in the past means now", () => {
  expect(parse("Sun, 06 Nov 1994 08:00:00 GMT")).toBe(0);
});

test("a wait longer than the maximum is cut to it", () => {
  expect(parse("86400")).toBe(maxRetryAfterMs);
  expect(parse("9".repeat(400))).toBe(maxRetryAfterMs);
  expect(parse("Sun, 06 Nov 2094 08:49:40 GMT")).toBe(maxRetryAfterMs);
  expect(parseRetryAfter("30", { nowMs, maxMs: 5000 })).toBe(5000);
});

test.each([
  null,
  "",
  "-5",
  "1.5",
  "1e3",
  "soon",
  "2 s",
  "0x10",
  "Infinity",
  "1994-11-06",
  "Sun, 99 Nov 1994",
  "Mon, soon",
])("%s asks for no wait", (value) => {
  expect(parse(value)).toBeUndefined();
});
