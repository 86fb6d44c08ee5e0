import type { DatabaseSeam, Seam } from "./build.ts";

/** The schema for the functions of the seams. */
const schema = "create schema sabotage";

const isDatabase = (seam: Seam): seam is DatabaseSeam => "database" in seam;

/**
 * The SQL that puts the seams into a migrated database, or undefined if no seam is for the
 * database.
 */
export function wreckOf(seams: readonly Seam[]): string | undefined {
  const own = seams.filter(isDatabase).map(({ database }) => database);
  return own.length > 0 ? [schema, ...own].join(";\n") : undefined;
}
