import { existsSync, readFileSync } from "node:fs";
import { documents, proseOf, root } from "./blocks.ts";

/** A test that a document names: its file, and words of its name. Without words it is the file alone that is meant. */
export interface Citation {
  document: string;
  file: string;
  words: string[];
}

/** `path/to/some.test.ts` "words of a name" (a remark), "words of another's", as the lines of a text break. */
const citation = /`((?:test|packages|bench|examples)\/[^`\s]+\.test\.ts)`((?:(?:,|\s\([^()"]*\))*\s"[^"]+")*)/g;

/** What may stand in parentheses before a test's name is its table; a skipped test shows nothing, so it is none. */
const title = /(?:\btest(?:\.(?:for|each|concurrent|sequential))?|\))\(\s*(["`])((?:\\.|(?!\1).)*)\1\s*,/g;

/** All tests that a document names. */
export function citationsOf(document: string): Citation[] {
  return citationsIn(proseOf(document), document);
}

/** The same of a piece of it. */
export function citationsIn(text: string, document: string): Citation[] {
  return [...text.matchAll(citation)].map(([, file = "", names = ""]) => ({
    document,
    file,
    words: [...names.matchAll(/"([^"]+)"/g)].map(([, words = ""]) => words.replaceAll(/\s+/g, " ")), // broken over lines in prose
  }));
}

/** Names of the tests of a file, as its source has them: with `${...}` and `%s` where they are made. */
export function testNames(source: string): string[] {
  return [...source.matchAll(title)].map(([, , name = ""]) => name.replaceAll(/\\(["`])/g, "$1"));
}

/** What is wrong with a citation, in words; undefined if it stands. */
export function flawOf({ document, file, words }: Citation): string | undefined {
  if (!existsSync(root + file)) return `${document}: there is no ${file}`;
  const names = testNames(readFileSync(root + file, "utf8"));
  const missing = words.filter((some) => names.filter((name) => name.includes(some)).length !== 1);
  return missing.length > 0 ? `${document}: of ${file} not one test is "${missing.join('", "')}"` : undefined;
}

/** Citations of all documents. */
export function allCitations(): Citation[] {
  return documents().flatMap(citationsOf);
}

/** The cells of a document's tables, row by row, without the heads. */
export function rowsOf(document: string): string[][] {
  return proseOf(document)
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|[-: |]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf("|"))
        .split("|")
        .map((cell) => cell.trim()),
    );
}
