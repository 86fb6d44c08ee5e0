import { type OptionKind, optionIssues } from "./check-options.ts";
import type { Issue } from "./errors/index.ts";

/** The ways to name a database, each with the options that belong to it. */
const places = {
  pool: { pool: "pool", isPooled: "flag" },
  connectionString: { connectionString: "text", password: "function", maxConnections: "any", isPooled: "flag" },
  database: { database: "queryable" },
} as const satisfies Record<string, Readonly<Record<string, OptionKind>>>;

/** Most connections of one part. PostgreSQL takes 100 in all unless told otherwise. */
const mostConnections = 1_000;

/**
 * Returns an issue for everything that is wrong with options of which one names the database: pool,
 * connectionString or database. `others` are the options beside it. An address that is undefined
 * would mean the database of PGHOST, or one on this machine.
 */
export function databaseChoiceIssues(
  what: string,
  options: unknown,
  others: Readonly<Record<string, OptionKind>>,
): Issue[] {
  const given = (typeof options === "object" ? (options ?? {}) : {}) as Record<string, unknown>;
  const names = Object.keys(places) as (keyof typeof places)[];
  const chosen = names.filter((name) => given[name] !== undefined);
  const [place = names.find((name) => name in given) ?? "connectionString"] = chosen;
  const known: object = chosen.length > 1 ? Object.assign({}, ...Object.values(places)) : places[place];
  const whose = chosen.length === 1 ? `${what} with ${place}` : what;
  const issues = optionIssues(whose, options, { ...others, ...known });
  if (chosen.length > 1) issues.push({ path: [], message: `give one of ${chosen.join(", ")}, not more` });
  if (chosen.length === 0)
    issues.push({ path: [place], message: "is missing: give connectionString, pool or database" });
  const { maxConnections } = given as { maxConnections?: number };
  const isCount = Number.isInteger(maxConnections) && maxConnections! >= 1 && maxConnections! <= mostConnections;
  if (maxConnections !== undefined && !isCount)
    issues.push({ path: ["maxConnections"], message: `must be an integer from 1 to ${mostConnections}` });
  return issues;
}
