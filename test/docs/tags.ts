import { readFileSync } from "node:fs";
import { documents, proseOf, root } from "./blocks.ts";
import { rowsOf } from "./tables.ts";

/**
 * What tests prove, by the tag that they carry: a failure mode, a rule of security, or a line of a
 * guarantee.
 */
export interface Tag {
  readonly name: string;
  /** In the words of the document that has it. */
  readonly description: string;
}

/** Where a document lies, by its file's name. */
export const documentNamed = (name: string): string => documents().find((path) => path.endsWith(`/${name}`))!;

/**
 * All tags that there are, as the documents list them: what they do not list, no test may carry.
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

/** A test and what it proves. */
export interface TaggedTest {
  readonly file: string;
  /**
   * As its source has it: with `${...}` and `%s` where it is made. Undefined if the tag is its
   * whole file's.
   */
  readonly name: string | undefined;
  readonly tags: readonly string[];
}

/**
 * A test's name and tags, in the form that all are written in; a skipped one has none, since it
 * shows nothing.
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
