import type { readMigrations } from "@hark/core";

type Migration = Awaited<ReturnType<typeof readMigrations>>[number];

const breakpoint = "\n--> statement-breakpoint\n";

/**
 * The migrations after version `from` as one script, which leaves the database as migrate() does: the ledger knows them. It
 * has no BEGIN, since drizzle-kit brings its own, and its breakpoints are comments to everything else.
 */
export function migrationScript(migrations: readonly Migration[], from: number): string {
  const missing = migrations.slice(from);
  if (missing.length === 0) return `-- Hark's schema is at version ${from}: nothing is missing.\n`;

  // The ledger, as in core's migrate.ts.
  const statements = [
    "create schema if not exists hark;",
    `create table if not exists hark.migrations (
  version integer primary key, name text not null, hash text not null, applied_at timestamptz not null default now());`,
    ...missing.flatMap(({ version, name, hash, statements: texts }) => [
      ...texts.map(terminated).filter((text) => text !== ""),
      `insert into hark.migrations (version, name, hash) values (${version}, ${literal(name)}, ${literal(hash)});`,
    ]),
    "select hark.create_partitions(7);",
  ];
  return `-- Hark's schema, from version ${from} to ${migrations.length}. Run it in one transaction: psql -v ON_ERROR_STOP=1 -1 -f <this file>\n\n${statements.join(breakpoint)}\n`;
}

function terminated(statement: string): string {
  const text = statement.trim();
  return text === "" || text.endsWith(";") ? text : `${text};`;
}

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
