import { expect, test } from "vitest";
import { printable } from "./output.ts";

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
