import { readFileSync } from "node:fs";
import { documents, proseOf, root } from "./blocks.ts";
import { rowsOf } from "./tables.ts";

/**
 * What tests with this tag prove: a failure mode, a security rule, or a line of a guarantee.
 */
export interface Tag {
  readonly name: string;
  /** In the words of its document. */
  readonly description: string;
}

/** The path of a document, by its file name. */
export const documentNamed = (name: string): string => documents().find((path) => path.endsWith(`/${name}`))!;

/**
 * All tags, as the documents list them. No test may carry another tag.
 */
export function allTags(): Tag[] {
  const modes = rowsOf(documentNamed("failure-modes.md")).map(([name = "", description = ""]) => ({
    name,
    description,
  }));
  const rules = rowsOf(documentNamed("security.md")).flatMap(([names = "", description = ""]) =>
    names.split(", ").map((name) => ({ name, description })),
  );
  return [...[...modes, ...rules].filter(({ name }) => /^(FM|SEC)-\d\d$/.test(name)), ...promises()];
}

/** The lines of the guarantees. */
export function promises(text: string = proseOf(documentNamed("guarantees.md"))): Tag[] {
  return [...text.matchAll(/^- `([A-Z]+-\d+)` (.+)$/gm)].map(([, name = "", description = ""]) => ({
    name,
    description,
  }));
}

/** A test and its tags. */
export interface TaggedTest {
  readonly file: string;
  /**
   * As in its source, with `${...}` and `%s`. Undefined if the tag belongs to the whole file.
   */
  readonly name: string | undefined;
  readonly tags: readonly string[];
}

/**
 * A test's name and tags, in the form of all tests. A skipped test does not match, since it proves
 * nothing.
 */
const tagged =
  /(?:\btest(?:\.(?:for|each|concurrent|sequential))?|\))\(\s*(["`])((?:\\.|(?!\1).)*)\1\s*,\s*\{\s*tags: (\[[^\]]*\])/g;
const ofFile = /^\/\/ @module-tag (\S+)$/gm;

/** The tests of a file that carry tags. */
export function taggedTests(file: string, source: string = readFileSync(root + file, "utf8")): TaggedTest[] {
  const whole = [...source.matchAll(ofFile)].map(([, tag = ""]) => ({ file, name: undefined, tags: [tag] }));
  const single = [...source.matchAll(tagged)].map(([, , name = "", tags = ""]) => ({
    file,
    name: name.replaceAll(/\\(["`])/g, "$1"),
    tags: [...tags.matchAll(/"([^"]+)"/g)].map(([, tag = ""]) => tag),
  }));
  return [...whole, ...single];
}
