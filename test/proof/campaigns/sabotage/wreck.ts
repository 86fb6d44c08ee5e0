import type { DatabaseSeam, Seam } from "./build.ts";

/** Where the functions of the seams stand. */
const schema = "create schema sabotage";

const isDatabase = (seam: Seam): seam is DatabaseSeam => "database" in seam;

/** The SQL that puts the seams into a migrated database; undefined if none is for it. */
export function wreckOf(seams: readonly Seam[]): string | undefined {
  const own = seams.filter(isDatabase).map(({ database }) => database);
  return own.length > 0 ? [schema, ...own].join(";\n") : undefined;
}
