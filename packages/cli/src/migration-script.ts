import { ledgerStatements, type Migration } from "@hark/core/internal";

const breakpoint = "\n--> statement-breakpoint\n";

/**
 * Returns the migrations after version `from` as one script. It leaves the database as migrate()
 * does, with rows in hark.migrations. It has no BEGIN, since drizzle-kit adds its own. Its
 * breakpoints are meant for drizzle-kit, and are comments to psql. The script runs in a
 * transaction, where indexes cannot be built concurrently, so writers wait for them.
 */
export function migrationScript(migrations: readonly Migration[], from: number): string {
  const missing = migrations.slice(from);
  if (missing.length === 0) return `-- Hark's schema is at version ${from}: no migration is pending.\n`;

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

/** The versions that a script goes from and to, or undefined for other SQL. */
export function scriptRange(text: string): { from: number; to: number } | undefined {
  const found = /^-- Hark's schema, from version (\d+) to (\d+)\./m.exec(text);
  return found ? { from: Number(found[1]), to: Number(found[2]) } : undefined;
}

function terminated(statement: string): string {
  const text = statement.trim();
  return text === "" || text.endsWith(";") ? text : `${text};`;
}

/** Returns the statement in a form that runs in a transaction. */
const inside = (statement: string) => statement.replace(/\bconcurrently\b/i, "");

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
