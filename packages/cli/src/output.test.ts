import { expect, test } from "vitest";
import { cut, fitted, printable } from "./output.ts";

test("untrusted text is printed as one line without control characters", () => {
  expect(printable("one\ntwo \u001b[31mred\u0007\r\u2028\u009b")).toBe(
    "one two \\u001b[31mred\\u0007\\u000d\\u2028\\u009b",
  );
});

test("passwords of URLs are masked, and other text with a similar shape is not", () => {
  expect(printable("at postgres://user:se:cr%40et@host:5432/db, https://host:80/a@b")).toBe(
    "at postgres://user:***@host:5432/db, https://host:80/a@b",
  );
});

test("a table that is too wide cuts its widest texts, and says so in each cell", () => {
  expect(fitted([4, 30, 60], [true, false, false], 80)).toEqual([4, 30, 42]);
  expect(fitted([4, 50, 60], [true, false, false], 60)).toEqual([4, 26, 26]);
  expect(fitted([4, 6, 10], [true, false, false], 80)).toEqual([4, 6, 10]);
  expect(fitted([90, 8, 8], [true, false, false], 80)).toEqual([90, 8, 8]); // numbers stay whole
  expect(cut("connection refused", 12)).toBe("connectio...");
  expect(cut("short", 12)).toBe("short");
});
