import fc from "fast-check";
import { expect, test } from "vitest";
import { storedJson } from "./stored-json.ts";

const most = 65_536;

class Model {
  readonly #id = 1;
  toJSON() {
    return { id: this.#id };
  }
}

test("JSON values are kept as JSON.stringify writes them, and nothing is lost", { tags: ["FM-71"] }, () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(storedJson(value, most)).toEqual({ text: JSON.stringify(value), lost: undefined });
    }),
  );
});

test.each<[string, unknown]>([
  ["a row with a Date", { at: new Date(0), id: 1 }],
  ["an invalid Date", [new Date(Number.NaN)]],
  ["a Buffer", Buffer.from("x")],
  ["an array of undefined and functions", [undefined, () => {}, Symbol("x")]],
  ["a Map", new Map([[1, 2]])],
  ["a class instance with toJSON", new Model()],
  ["NaN and Infinity", { a: Number.NaN, b: [Number.POSITIVE_INFINITY] }],
  ["a URL", { url: new URL("http://x/") }],
  ["boxed values", [Object(1), Object("x"), Object(true)]],
  ["a typed array", new Uint8Array([1, 2])],
  ["an error", new Error("x")],
  ["a proxy", new Proxy({ a: 1 }, {})],
  ["a name of toJSON that is no function", { toJSON: 1 }],
])("of %s is kept what JSON.stringify makes of it", { tags: ["FM-71"] }, (_, value) => {
  expect(storedJson(value, most).text).toBe(JSON.stringify(value));
});

test("a bigint is kept as text, and it is said", { tags: ["FM-71"] }, () => {
  expect(storedJson({ id: 5n }, most)).toEqual({ text: '{"id":"5"}', lost: "at id: a bigint is kept as text" });
});

test("nothing is kept of what is too long, too deep, in a circle, not storable, or throws", { tags: ["FM-71"] }, () => {
  const circle: unknown[] = [];
  circle.push(circle);
  let shared: unknown = 1;
  for (let level = 0; level < 60; level += 1) shared = [shared, shared];
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const throwing = {
    get x() {
      throw new Error("no");
    },
  };
  const endless = { toJSON: () => ({ next: endless }) };
  const values = [
    "x".repeat(70_000),
    "é".repeat(40_000),
    Buffer.alloc(100_000_000),
    new Float64Array(20_000_000),
    Object.assign([], { length: 1e9 }),
    circle,
    shared,
    "a\0b",
    { "a\0b": 1 },
    "\ud800",
    proxy,
    throwing,
    endless,
    {
      toJSON() {
        throw new Error("no");
      },
    },
  ];
  for (const value of values) {
    const { text, lost } = storedJson(value, most);
    expect(text).toBeUndefined();
    expect(lost).toBeTruthy();
  }
});
