import { expect, test } from "vitest";
import { printable } from "./output.ts";

test("text from strangers is one line that no terminal acts on", () => {
  expect(printable("one\ntwo \u001b[31mred\u0007\r\u2028\u009b")).toBe(
    "one two \\u001b[31mred\\u0007\\u000d\\u2028\\u009b",
  );
});

test("passwords of URLs are masked, and what only looks like one is left alone", () => {
  expect(printable("at postgres://user:se:cr%40et@host:5432/db, https://host:80/a@b")).toBe(
    "at postgres://user:***@host:5432/db, https://host:80/a@b",
  );
});
