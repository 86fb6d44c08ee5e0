import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonIssues } from "./encode-json.ts";
import { storableText } from "./json.ts";

/** Mostly text, and now and then what PostgreSQL cannot store, or what only looks like it. */
const unit = fc.oneof(
  { weight: 50, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.constantFrom("\0", "\ud800", "\udc00", "\\u0000") },
);

test("JSON values have issues if and only if a text or name in them cannot be stored", { tags: ["FM-36"] }, () => {
  const seen = { flawed: 0, sound: 0 };
  fc.assert(
    fc.property(fc.jsonValue({ depthSize: "medium", stringUnit: unit }), (value) => {
      let isFlawed = false;
      JSON.stringify(value, (name, item: unknown) => {
        for (const text of [name, item]) {
          if (typeof text === "string") isFlawed ||= text.includes("\0") || !text.isWellFormed();
        }
        return item;
      });
      seen[isFlawed ? "flawed" : "sound"] += 1;
      expect(jsonIssues(value).length > 0).toBe(isFlawed);
    }),
    { numRuns: 2_000 },
  );
  expect(Math.min(seen.flawed, seen.sound)).toBeGreaterThan(100);
});

const circle: Record<string, unknown> = {};
circle.self = circle;

test.each([
  ["a NUL", { a: ["x\0y"] }, ["a", 0], /NUL/],
  ["half a surrogate pair", { a: "\ud800" }, ["a"], /surrogate/],
  ["a NUL in a name", { "a\0": 1 }, ["a\0"], /NUL/],
  ["a date", { at: new Date(0) }, ["at"], /Date is no JSON value/],
  ["a map", { all: new Map() }, ["all"], /Map/],
  ["a bigint", { id: 1n }, ["id"], /bigint/],
  ["NaN", [Number.NaN], [0], /NaN/],
  ["a function", { run: () => {} }, ["run"], /function/],
  ["an undefined item", [undefined], [0], /undefined/],
])("%s is found with the path to it", (_, value, path, message) => {
  const [issue] = jsonIssues(value);
  expect(issue?.path).toEqual(path);
  expect(issue?.message).toMatch(message);
});

test("a circle ends at the depth limit instead of never", () => {
  expect(jsonIssues(circle)[0]?.message).toMatch(/in a circle/);
});

test(
  "any text can be stored after storableText, within the limit, whatever is in it",
  { tags: ["FM-36", "FM-37"] },
  () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 300 }),
        fc.integer({ min: 40, max: 200 }),
        (text, maxBytes) => {
          const stored = storableText(`${text}\0\ud800`, maxBytes);
          expect(Buffer.byteLength(stored)).toBeLessThanOrEqual(maxBytes);
          expect(stored.isWellFormed()).toBe(true);
          expect(stored).not.toContain("\0");
        },
      ),
    );
  },
);

test("a plain object of another realm is plain, and a class instance of it is not", () => {
  const other = (code: string): unknown => runInNewContext(code);
  expect(jsonIssues(other("({ a: [{ b: 1 }] })"))).toEqual([]);
  expect(jsonIssues(other("Object.create(null)"))).toEqual([]);
  expect(jsonIssues(other("new (class Thing {})()"))).toMatchObject([
    { message: expect.stringContaining("Thing") as string },
  ]);
  expect(jsonIssues(other("new Date(0)"))).toHaveLength(1);
});
