import type { Queryable } from "./database.ts";
import { listHiddenTables } from "./doctor/hidden-tables.ts";
import { RowsHiddenError, SchemaVersionError, SchemaWithoutLedgerError } from "./errors/index.ts";
import { withClient } from "./migration-session.ts";
import { type Migration, readMigrations } from "./migrations.ts";
import type { Login } from "./session.ts";

/** How long a look at the ledger may take, in ms. */
const lookDeadlineMs = 10_000;

/**
 * What makes the ledger of applied migrations, in every state it may be in: it cannot be a
 * migration, since it has to be there for the first. `oldest_code` came later; a row without it was
 * written by code that let no older code in.
 */
export const ledgerStatements: readonly string[] = [
  // Looks first: CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where it is
  // there.
  `do $$ begin
  if to_regnamespace('hark') is null then
    create schema hark;
  end if;
end $$`,
  `create table if not exists hark.migrations (
  version integer primary key, name text not null, hash text not null, applied_at timestamptz not null default now(),
  oldest_code integer)`,
  // Not by IF NOT EXISTS, which locks everybody out of the ledger even where there is nothing to
  // do.
  `do $$ begin
  if not exists (select from pg_attribute where attrelid = 'hark.migrations'::regclass and attname = 'oldest_code') then
    alter table hark.migrations add column oldest_code integer;
  end if;
end $$`,
];

export interface SchemaVersion {
  /**
   * Null if there is no Hark schema. Above `wanted` if newer code migrated, and this code may go on
   * with that.
   */
  readonly found: number | null;
  readonly wanted: number;
  /** Names of migrations not applied yet. */
  readonly pending: readonly string[];
}

/**
 * Compares the database's schema with this code's, changing nothing.
 * @throws SchemaVersionError if the schema needs newer code, or an applied migration was changed
 * since
 * @throws DatabaseUnreachableError
 */
export async function schemaVersion(
  connectionString: string,
  { password }: Pick<Login, "password"> = {},
): Promise<SchemaVersion> {
  return withClient({ connectionString, password }, lookDeadlineMs, schemaVersionOn);
}

/** The same over a connection that is there already. */
export async function schemaVersionOn(db: Queryable): Promise<SchemaVersion> {
  const migrations = await readMigrations();
  const ledger = await readOwnLedger(db);
  return {
    found: ledger.at(-1)?.version ?? null,
    wanted: migrations.length,
    pending: pendingOf(migrations, ledger).map(({ name }) => name),
  };
}

/**
 * Throws unless this code runs with the database's schema: it is this code's, or a newer one which
 * still lets this code in.
 * @throws SchemaVersionError with what to do
 * @throws SchemaWithoutLedgerError, RowsHiddenError
 * @throws DatabaseUnreachableError
 */
export async function checkSchema(connectionString: string, { password }: Pick<Login, "password"> = {}): Promise<void> {
  await withClient({ connectionString, password }, lookDeadlineMs, async (client) => {
    const hidden = await listHiddenTables(client);
    if (hidden.length > 0) throw new RowsHiddenError(hidden);
    const { found, wanted, pending } = await schemaVersionOn(client);
    if (pending.length) throw new SchemaVersionError({ found, wanted });
  });
}

/**
 * Returns the ledger of a schema that Hark made; nothing if there is no schema.
 * @throws SchemaWithoutLedgerError if there are tables, but nothing says which migrations made them
 */
export async function readOwnLedger(db: Queryable): Promise<LedgerRow[]> {
  const ledger = await readLedger(db);
  if (ledger.length > 0 || !(await hasTables(db))) return ledger;
  // Somebody may have migrated between the two looks. Tables and ledger commit together.
  const again = await readLedger(db);
  if (again.length === 0) throw new SchemaWithoutLedgerError();
  return again;
}

async function hasTables(db: Queryable): Promise<boolean> {
  const { rows } = await db.query({
    text: `select from pg_class where relnamespace = to_regnamespace('hark') and relkind in ('r', 'p')
              and relname <> 'migrations' limit 1`,
    values: [],
  });
  return rows.length > 0;
}

interface LedgerRow {
  version: number;
  name: string;
  hash: string;
  oldestCode: number;
}

/** Returns what was applied, in order; nothing if there is no Hark schema. */
export async function readLedger(db: Queryable): Promise<LedgerRow[]> {
  const tables = await db.query({ text: "select to_regclass('hark.migrations')::text as ledger", values: [] });
  if (!tables.rows[0]?.ledger) return [];
  const { rows } = await db.query({
    // By way of JSON, since the column is not there yet in a ledger that only older code has
    // written.
    text: `select version::text, name, hash, coalesce(to_jsonb(applied) ->> 'oldest_code', version::text) as oldest_code
             from hark.migrations applied order by applied.version`,
    values: [],
  });
  // As text, since an application may have set how pg reads numbers.
  return rows.map(({ version, name, hash, oldest_code: oldestCode }) => ({
    version: Number(version),
    name: String(name),
    hash: String(hash),
    oldestCode: Number(oldestCode),
  }));
}

/**
 * Returns the migrations that are missing from the ledger.
 * @throws SchemaVersionError if the schema needs newer code, or an applied migration was changed
 * since
 */
export function pendingOf(migrations: readonly Migration[], ledger: readonly LedgerRow[]): Migration[] {
  const found = ledger.at(-1)?.version ?? 0;
  const wanted = migrations.length;
  for (const applied of ledger) {
    const known = migrations[applied.version - 1];
    if (known ? known.hash !== applied.hash : applied.oldestCode > wanted) {
      throw new SchemaVersionError({
        found,
        wanted,
        ...(known
          ? { changed: applied.name }
          : { oldestCode: Math.max(...ledger.map(({ oldestCode }) => oldestCode)) }),
      });
    }
  }
  return migrations.slice(found);
}
