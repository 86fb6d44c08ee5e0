import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { proseOf, root } from "./blocks.ts";
import { citationsIn, flawOf, rowsOf } from "./citations.ts";

/* docs/explanation/security.md against SEC-01 to SEC-40 of the reliability paper, and against test/security. */

const document = "docs/explanation/security.md";
const numbers = Array.from({ length: 40 }, (_, place) => `SEC-${String(place + 1).padStart(2, "0")}`);
const rows = rowsOf(document).filter(([rule = ""]) => rule.startsWith("SEC-"));
const rulesOf = (text: string): string[] => text.match(/SEC-\d{2}/g) ?? [];
const listed = rows.flatMap(([rule = ""]) => rulesOf(rule));

test("every rule has one row, or is among those that nothing is there for yet", () => {
  expect(new Set(listed).size).toBe(listed.length);
  const absent = /^Not built.*?\n\n/ms.exec(proseOf(document))?.[0] ?? "";
  const accounted = new Set([...listed, ...rulesOf(absent)]);
  expect(numbers.filter((number) => !accounted.has(number))).toEqual([]);
  expect(listed.length).toBeGreaterThanOrEqual(37);
});

test("every row says what holds, and names tests that are there", () => {
  for (const [rule = "", holds, shown = ""] of rows) {
    expect(holds, rule).toMatch(/\w/);
    const cited = citationsIn(shown, document);
    expect(cited.map(flawOf).filter((flaw) => flaw !== undefined)).toEqual([]);
    expect(cited.length, `${rule}: ${shown}`).toBeGreaterThan(0);
  }
});

test("every file of test/security stands in the rows of the rules that its name says", () => {
  const files = readdirSync(`${root}test/security`).filter((file) => file.endsWith(".test.ts"));
  expect(files.length).toBeGreaterThanOrEqual(30);
  for (const file of files) {
    const own = /^sec-((?:\d{2}-)+)/.exec(file)?.[1]?.match(/\d{2}/g) ?? [];
    expect(own.length, file).toBeGreaterThan(0);
    for (const number of own) {
      const row = rows.find(([rule = ""]) => rulesOf(rule).includes(`SEC-${number}`));
      expect(row?.[2], `${file} under SEC-${number}`).toContain(`\`test/security/${file}\``);
    }
  }
});
