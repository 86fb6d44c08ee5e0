import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { proseOf, root } from "./blocks.ts";
import { allCitations, citationsIn, flawOf, rowsOf, testNames } from "./citations.ts";

/** FM-01 to FM-56 of the reliability paper. */
const numbers = Array.from({ length: 56 }, (_, place) => `FM-${String(place + 1).padStart(2, "0")}`);

test("every test that a document names is there", () => {
  const citations = allCitations();
  expect(citations.map(flawOf).filter((flaw) => flaw !== undefined)).toEqual([]);
  expect(citations.length).toBeGreaterThan(100);
});

test("a name that is gone, that two tests share, or whose test is skipped does not stand", () => {
  // What testNames() reads, no tests of ours.
  const source = `
    test("a job is kept", async () => {});
    test.for([["one", 1], ["other", 2]])("a job of %s is kept", () => {});
    test.skip("a job is dropped", () => {}); // a text for testNames(), which must not take a skipped test for one
    test(\`after \${ms} ms a job is gone\`, () => {});
    await db.query("select a job", [1]);`;
  expect(testNames(source)).toEqual(["a job is kept", "a job of %s is kept", "after ${ms} ms a job is gone"]);

  const file = "test/docs/citations.test.ts";
  const of = (words: string) => flawOf({ document: "it", file, words: [words] });
  expect(of("every test that a document names")).toBeUndefined();
  expect(of("every test that nobody wrote")).toMatch(/not one test is "every test that nobody wrote"/);
  expect(of("e")).toMatch(/not one test/);
  expect(flawOf({ document: "it", file: "test/docs/none.test.ts", words: [] })).toMatch(/there is no/);
  expect(citationsIn('`test/a.test.ts` "one" (twice), "other"; `test/b.test.ts`', "it")).toEqual([
    { document: "it", file: "test/a.test.ts", words: ["one", "other"] },
    { document: "it", file: "test/b.test.ts", words: [] },
  ]);
});

describe("docs/explanation/failure-modes.md", () => {
  const document = "docs/explanation/failure-modes.md";
  const rows = rowsOf(document).filter(([number = ""]) => number !== "no.");

  test("has a row for each failure mode, in order", () => {
    expect(rows.map(([number]) => number)).toEqual(numbers);
  });

  test("says of each what goes wrong, what Hark does, and the test's name, or that none shows it and what is open", () => {
    for (const [number, wrong, hark, shown = "", open = "", ...more] of rows) {
      const cited = citationsIn(shown, document);
      expect([wrong, hark].every(Boolean) && more.length === 0, number).toBe(true);
      expect(cited.length > 0 && cited.every(({ words }) => words.length > 0), `${number}: ${shown}`).toBe(
        shown !== "none",
      );
      // Nothing in quotes that does not follow its file, and would be taken on trust.
      expect(cited.flatMap(({ words }) => words).length, number).toBe([...shown.matchAll(/"[^"]+"/g)].length);
      if (shown === "none") expect(open, number).not.toBe("");
    }
  });
});

describe("docs/explanation/guarantees.md", () => {
  const document = "docs/explanation/guarantees.md";
  /** By heading, up to the next. */
  const sections = new Map(
    proseOf(document)
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split("\n", 1)[0]!, section] as const),
  );

  test("has a section for every promise of the README", () => {
    const promises = [...readFileSync(`${root}README.md`, "utf8").matchAll(/^- \*\*(\w+)\.\*\*/gm)].map(
      ([, word]) => word,
    );
    expect(promises.length).toBeGreaterThanOrEqual(5);
    expect([...sections.keys()]).toEqual(expect.arrayContaining(promises));
  });

  test("names for each promise its limits and a test by name", () => {
    for (const [heading, section] of sections) {
      const cited = citationsIn(section, document);
      expect(cited.filter(({ words }) => words.length > 0).length, heading).toBeGreaterThan(0);
      expect(section, heading).toMatch(/^\*\*Limits\.\*\* \S/m);
    }
  });
});
