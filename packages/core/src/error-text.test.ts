import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { errorText, messageOf } from "./error-text.ts";
import { UnrecoverableError } from "./errors/index.ts";
import { limits } from "./json.ts";

const circle: { self?: unknown } = {};
circle.self = circle;

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** The text without its frames. */
const said = (thrown: unknown) =>
  errorText(thrown)
    .split("\n")
    .filter((line) => !/^\s+at /.test(line))
    .join(" / ");

const fetchFailed = new TypeError("fetch failed", {
  cause: Object.assign(
    new AggregateError([new Error("connect ECONNREFUSED ::1:80"), new Error("connect ECONNREFUSED 127.0.0.1:80")], ""),
    { code: "ECONNREFUSED" },
  ),
});

test("an error's text names it, its causes, and stays within the limit", { tags: ["FM-37"] }, () => {
  const text = errorText(new TypeError("no price", { cause: new Error("page was empty") }));
  expect(text).toMatch(/^TypeError: no price\n\s+at /);
  expect(text).toContain("caused by Error: page was empty");
  expect(Buffer.byteLength(errorText(new Error("x".repeat(100_000))))).toBeLessThanOrEqual(limits.errorBytes);
  expect(errorText(circle)).toBe("thrown: [object Object]");
});

test.each<[string, unknown, RegExp]>([
  ["that an empty text was thrown", "", /^thrown: an empty text$/],
  ["that a blank text was thrown", " \n", /^thrown: an empty text$/],
  ["each error of an AggregateError", new AggregateError([new Error("one: 503"), "two: 504"]), /one: 503.*two: 504/],
  ["both addresses of a failed fetch", fetchFailed, /fetch failed.*ECONNREFUSED.*::1:80.*127\.0\.0\.1:80/],
  [
    "both errors of a SuppressedError",
    Object.assign(new Error("suppressed"), { error: new Error("dispose"), suppressed: new Error("handler") }),
    /dispose.*handler/,
  ],
  ["the code of an error without a message", Object.assign(new Error(""), { code: "ETIMEDOUT" }), /ETIMEDOUT/],
  ["the fields of an error without a message", Object.assign(new Error(""), { status: 503 }), /503/],
  ["the class of an error without a message", new (class CardDeclined extends Error {})(), /CardDeclined/],
  [
    "an SQLSTATE, and no detail",
    Object.assign(new Error('null value in column "x"'), { code: "23502", severity: "ERROR", detail: "(secret)" }),
    /^(?!.*secret).*SQLSTATE 23502/,
  ],
  ["a number for a code", Object.assign(new Error("declined"), { code: 402 }), /declined \(code 402\)/],
  ["an error of another realm", runInNewContext("new RangeError('far away')"), /^RangeError: far away/],
  ["a cause of another realm", new Error("near", { cause: runInNewContext("new Error('far')") }), /near.*Error: far/],
  ["a plain object", { status: 503, message: "busy" }, /503.*busy/],
  ["a plain object in a circle", { ...circle, message: "busy", self: circle }, /busy/],
  ["an object with a bigint", { id: 5n, reason: "taken" }, /5.*taken/],
  ["an array of errors", [new Error("one"), new Error("two")], /one.*two/],
  ["a Response", new Response("", { status: 503, statusText: "Busy" }), /Response.*503.*Busy/],
  ["a DOMException", new DOMException("took too long", "TimeoutError"), /^TimeoutError: took too long$/],
  ["undefined", undefined, /undefined/],
  ["null", null, /null/],
  ["a symbol", Symbol("sign"), /sign/],
  ["a function by its name, not by its source", function lost() {}, /^thrown: a function lost$/],
  ["a string", "just words", /^just words$/],
  ["that a revoked proxy cannot be read", revoked(), /cannot be read/],
  ["a getter that throws as missing", Object.defineProperty(new Error("kept"), "cause", { get: revoked }), /kept/],
  [
    "an error whose message getter throws, by its name",
    Object.defineProperty(new TypeError(), "message", {
      get() {
        throw new Error("no");
      },
    }),
    /TypeError/,
  ],
])("the text of what was thrown has %s", { tags: ["FM-70"] }, (_, thrown, words) => {
  expect(said(thrown)).toMatch(words);
  expect(typeof messageOf(thrown)).toBe("string");
});

test("an error of Hark's is named without its code", () => {
  expect(said(new UnrecoverableError("no use"))).toBe("UnrecoverableError: no use");
});

test("the text is bounded: many errors, deep causes, circles of causes, long values", { tags: ["FM-70"] }, () => {
  let chain = new Error("first");
  for (let level = 0; level < 10_000; level += 1) chain = new Error(`level ${level}`, { cause: chain });
  const wide = new AggregateError(Array.from({ length: 100_000 }, (_, place) => new Error(`number ${place}`)));
  let shared: unknown = { x: 1 };
  let sharedError: Error = new Error("leaf");
  for (let level = 0; level < 60; level += 1) {
    shared = { a: shared, b: shared };
    sharedError = new AggregateError([sharedError, sharedError]);
  }
  const self = new Error("itself");
  self.cause = self;
  for (const thrown of [
    chain,
    wide,
    shared,
    sharedError,
    self,
    Buffer.alloc(50_000_000),
    Object.assign([], { length: 1e9 }),
  ]) {
    expect(Buffer.byteLength(errorText(thrown))).toBeLessThanOrEqual(limits.errorBytes);
  }
  expect(said(wide)).toMatch(/number 0 .*and \d+ more/);
  expect(said(self)).toContain("the same error again");
});
