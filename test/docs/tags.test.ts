import { existsSync, globSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { documents, proseOf, root } from "./blocks.ts";
import { rowsOf } from "./tables.ts";
import { allTags, documentNamed, promises, taggedTests } from "./tags.ts";

const files = globSync("{packages/*/src,examples/*/src,test}/**/*.test.ts", { cwd: root });
const tests = files.flatMap((file) => taggedTests(file));
const names = allTags().map(({ name }) => name);

test("for every promise of the documents a test that is not skipped carries its tag", () => {
  const carried = new Set(tests.flatMap(({ tags }) => tags));
  expect(names.filter((name) => !carried.has(name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(120);
});

test("no test carries a tag that no document has", () => {
  const unknown = tests.filter(({ tags }) => tags.some((tag) => !names.includes(tag)));
  expect(unknown).toEqual([]);
});

test("tags are read in every form, but not from a skipped test", () => {
  // Input for taggedTests(), not real tests.
  const source = `// @module-tag SEC-01
    test("one", { tags: ["FM-01"] }, async () => {});
    test.for([1, 2])(
      \`another \${ms}\`,
      { tags: ["FM-01", "KEPT-1"], timeout: 60_000 },
      () => {},
    );
    test.skip("a third", { tags: ["FM-02"] }, () => {}); // taggedTests() must not count it
    test("a fourth", () => {});`;
  expect(taggedTests("a.test.ts", source)).toEqual([
    { file: "a.test.ts", name: undefined, tags: ["SEC-01"] },
    { file: "a.test.ts", name: "one", tags: ["FM-01"] },
    { file: "a.test.ts", name: "another ${ms}", tags: ["FM-01", "KEPT-1"] },
  ]);
});

test("every test file that a document names exists", () => {
  const named = documents().flatMap((document) =>
    [...proseOf(document).matchAll(/`((?:test|packages|bench|examples)\/[^`\s*]+\.test\.ts)`/g)].map(
      ([, file]) => file!,
    ),
  );
  expect(named.filter((file) => !existsSync(root + file))).toEqual([]);
});

test("failure-modes.md has one row for each failure mode, in order in its table, with what goes wrong and what Hark does", () => {
  const tables: string[][][] = [];
  for (const row of rowsOf(documentNamed("failure-modes.md"))) {
    if (row[0] === "no.") tables.push([]);
    else tables.at(-1)!.push(row);
  }
  const numberOf = ([number = ""]: string[]) => Number(/^FM-(\d\d)$/.exec(number)?.[1]);
  for (const table of tables) {
    const numbers = table.map(numberOf);
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
  }
  const rows = tables.flat();
  const all = rows.map(numberOf).toSorted((one, other) => one - other);
  expect(all).toEqual([...new Set(all)]);
  expect(all.slice(0, 58)).toEqual(Array.from({ length: 58 }, (_, place) => place + 1));
  expect(rows.length).toBeGreaterThanOrEqual(57);
  for (const [number, wrong, hark, open, ...more] of rows)
    expect([Boolean(wrong), Boolean(hark), open !== undefined, more.length], number).toEqual([true, true, true, 0]);
});

test("seen-to-fail.md says in each row what was taken out and what a test said", () => {
  const rows = rowsOf(documentNamed("seen-to-fail.md")).filter(([tag]) => tag !== "tag");
  expect(rows.length).toBeGreaterThan(100);
  for (const [tag, out, said, ...more] of rows) {
    expect(names).toContain(tag);
    expect([Boolean(out), Boolean(said), more.length], out).toEqual([true, true, 0]);
  }
});

describe("guarantees.md", () => {
  /** By heading, up to the next. */
  const sections = new Map(
    proseOf(documentNamed("guarantees.md"))
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split("\n", 1)[0]!, section] as const),
  );

  test("has a section for every promise of the README", () => {
    const readme = readFileSync(`${root}README.md`, "utf8");
    const promised = [...readme.matchAll(/^- \*\*(\w+)\.\*\*/gm)].map(([, word]) => word);
    expect(promised.length).toBeGreaterThanOrEqual(5);
    expect([...sections.keys()]).toEqual(expect.arrayContaining(promised));
  });

  test("says for each promise its limits, and what tests prove under its own tags", () => {
    const words = [...sections].map(([heading, section]) => {
      expect(section, heading).toMatch(/^\*\*Limits\.\*\* \S/m);
      const own = promises(section).map(({ name }) => name);
      const [word] = own[0]?.split("-") ?? [];
      expect(own.length, heading).toBeGreaterThan(0);
      expect(own, heading).toEqual(own.map((_, place) => `${word}-${place + 1}`));
      return word;
    });
    expect(new Set(words).size).toBe(words.length);
  });
});

describe("security.md", () => {
  const rulesOf = (text: string): string[] => text.match(/SEC-\d{2}/g) ?? [];

  test("has one row for each of the 40 rules, or says that it is not covered yet", () => {
    const document = documentNamed("security.md");
    const listed = names.filter((name) => name.startsWith("SEC-"));
    expect(listed.length).toBeGreaterThanOrEqual(37);
    for (const [rules = "", holds] of rowsOf(document).filter(([rule = ""]) => rule.startsWith("SEC-")))
      expect(holds, rules).toMatch(/\w/);
    const absent = /^Not built.*?\n\n/ms.exec(proseOf(document))?.[0] ?? "";
    const accounted = new Set([...listed, ...rulesOf(absent)]);
    const numbers = Array.from({ length: 40 }, (_, place) => `SEC-${String(place + 1).padStart(2, "0")}`);
    expect(numbers.filter((number) => !accounted.has(number))).toEqual([]);
  });

  test("every file of test/security carries the tags of the rules in its name", () => {
    const own = readdirSync(`${root}test/security`).filter((file) => file.endsWith(".test.ts"));
    expect(own.length).toBeGreaterThanOrEqual(30);
    for (const file of own) {
      const numbers = /^sec-((?:\d{2}-)+)/.exec(file)?.[1]?.match(/\d{2}/g) ?? [];
      const carried = tests.flatMap((one) => (one.file === `test/security/${file}` ? one.tags : []));
      expect(numbers.length, file).toBeGreaterThan(0);
      expect(carried, file).toEqual(expect.arrayContaining(numbers.map((number) => `SEC-${number}`)));
    }
  });
});
