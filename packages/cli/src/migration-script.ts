import { ledgerStatements, type Migration } from "@hark/core";

const breakpoint = "\n--> statement-breakpoint\n";

/**
 * The migrations after version `from` as one script, which leaves the database as migrate() does: the ledger knows them. It
 * has no BEGIN, since drizzle-kit brings its own, and its breakpoints are comments to everything else. In the transaction that
 * it is run in, indexes cannot be built concurrently: writers wait for them.
 */
export function migrationScript(migrations: readonly Migration[], from: number): string {
  const missing = migrations.slice(from);
  if (missing.length === 0) return `-- Hark's schema is at version ${from}: nothing is missing.\n`;

  const statements = [
    ...ledgerStatements.map(terminated),
    ...missing.flatMap(({ version, name, hash, oldestCode, statements: texts, isOutsideTransaction }) => [
      ...texts.map((text) => terminated(isOutsideTransaction ? inside(text) : text)).filter((text) => text !== ""),
      `insert into hark.migrations (version, name, hash, oldest_code) values (${version}, ${literal(name)}, ${literal(hash)}, ${oldestCode});`,
    ]),
    "select hark.create_partitions(7);",
  ];
  return `-- Hark's schema, from version ${from} to ${migrations.length}. Run it in one transaction: psql -v ON_ERROR_STOP=1 -1 -f <this file>\n\n${statements.join(breakpoint)}\n`;
}

function terminated(statement: string): string {
  const text = statement.trim();
  return text === "" || text.endsWith(";") ? text : `${text};`;
}

/** The same statement for a transaction. */
const inside = (statement: string) => statement.replace(/\bconcurrently\b/i, "");

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
