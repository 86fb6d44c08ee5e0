import { expect, test } from "vitest";
import { errorText } from "./error-text.ts";
import { limits } from "./json.ts";

const circle: { self?: unknown } = {};
circle.self = circle;

test("an error's text names it, its causes, and stays within the limit", { tags: ["FM-37"] }, () => {
  const text = errorText(new TypeError("no price", { cause: new Error("page was empty") }));
  expect(text).toMatch(/^TypeError: no price\n\s+at /);
  expect(text).toContain("caused by Error: page was empty");
  expect(Buffer.byteLength(errorText(new Error("x".repeat(100_000))))).toBeLessThanOrEqual(limits.errorBytes);
  expect(errorText(circle)).toBe("thrown: [object Object]");
});

