import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { orLate } from "./clock.ts";
import { describeUrl, type Executor } from "./database.ts";
import { DatabaseUnreachableError, SchemaVersionError } from "./errors.ts";

export interface Migration {
  /** From 1, in the order of drizzle-kit's journal. */
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
  readonly hash: string;
}

export interface MigrateOptions {
  connectionString: string;
  /** Longest wait for other processes that migrate, in ms; 60 s if not given. */
  waitMs?: number;
}

/** In the repository the migrations stand at its root; a published package carries its own copy. */
export const folder: string | undefined = [
  join(import.meta.dirname, "../drizzle"),
  join(import.meta.dirname, "../../../drizzle"),
].find((candidate) => existsSync(join(candidate, "meta/_journal.json")));

/** How long one statement of a migration may take, in ms: an index over a large table takes its time. */
const statementDeadlineMs = 600_000;

/** How long a look at the ledger may take, in ms. */
const lookDeadlineMs = 10_000;

/** How long the server may take to answer our goodbye, in ms. */
const goodbyeMs = 1_000;

/** Class and key of the advisory lock under which migrations run: "hark" in ASCII, so that it meets no one else's (SEC-37). */
export const advisoryLock: readonly number[] = [0x6861726b, 0x6d696772];

/** Answers the migrations this code knows, as drizzle-kit wrote them. */
export async function readMigrations(): Promise<Migration[]> {
  if (!folder) throw new Error("Hark's migrations are missing from this installation: install @hark/core again");
  const journal = JSON.parse(await readFile(join(folder, "meta/_journal.json"), "utf8")) as {
    entries: { tag: string }[];
  };
  return Promise.all(
    journal.entries.map(async ({ tag }, place) => {
      const text = await readFile(join(folder, `${tag}.sql`), "utf8");
      return {
        version: place + 1,
        name: tag,
        statements: text.split("--> statement-breakpoint"),
        hash: createHash("sha256").update(text).digest("hex"),
      };
    }),
  );
}

/**
 * Brings the database's Hark schema to this code's version, in one transaction under an advisory lock: any number of processes
 * may call it at once (FM-43). Answers the names of the migrations that this call applied.
 * @throws SchemaVersionError if the schema is newer than the code, or an applied migration was changed since
 * @throws DatabaseUnreachableError
 */
export async function migrate({ connectionString, waitMs = 60_000 }: MigrateOptions): Promise<string[]> {
  const migrations = await readMigrations();
  return withClient(connectionString, waitMs + statementDeadlineMs, async (client) => {
    // Most calls find nothing to do, and need no lock to see it.
    if (pendingOf(migrations, await readLedger(client)).length === 0) return [];

    await client.query("begin");
    await client.query(`select set_config('lock_timeout', $1, true)`, [`${waitMs}ms`]);
    await client.query("select pg_advisory_xact_lock($1, $2)", [...advisoryLock]);
    // From here on wait for nobody's table for long: what queues behind our lock request would stand still (FM-44).
    await client.query("set local lock_timeout = '3s'");
    await client.query("create schema if not exists hark");
    await client.query(
      `create table if not exists hark.migrations (
         version integer primary key, name text not null, hash text not null, applied_at timestamptz not null default now())`,
    );
    const pending = pendingOf(migrations, await readLedger(client));
    for (const { version, name, statements, hash } of pending) {
      for (const text of statements) await client.query(text);
      await client.query("insert into hark.migrations (version, name, hash) values ($1, $2, $3)", [
        version,
        name,
        hash,
      ]);
    }
    await client.query("select hark.create_partitions(7)");
    await client.query("commit");
    return pending.map(({ name }) => name);
  });
}

export interface SchemaVersion {
  /** Null if there is no Hark schema. */
  readonly found: number | null;
  readonly wanted: number;
  /** Names of migrations not applied yet. */
  readonly pending: readonly string[];
}

/** Compares the database's schema with this code's, changing nothing. Throws as {@link migrate} does. */
export async function schemaVersion(connectionString: string): Promise<SchemaVersion> {
  return withClient(connectionString, lookDeadlineMs, schemaVersionOn);
}

/** The same over a connection that is there already. */
export async function schemaVersionOn(db: Executor): Promise<SchemaVersion> {
  const migrations = await readMigrations();
  const ledger = await readLedger(db);
  return {
    found: ledger.at(-1)?.version ?? null,
    wanted: migrations.length,
    pending: pendingOf(migrations, ledger).map(({ name }) => name),
  };
}

/** Throws {@link SchemaVersionError}, with what to do, unless the database's schema is exactly this code's. */
export async function checkSchema(connectionString: string): Promise<void> {
  const { found, wanted, pending } = await schemaVersion(connectionString);
  if (pending.length) throw new SchemaVersionError(found, wanted);
}

interface LedgerRow {
  version: number;
  name: string;
  hash: string;
}

async function readLedger(db: Executor): Promise<LedgerRow[]> {
  const tables = await db.query({ text: "select to_regclass('hark.migrations') as ledger", values: [] });
  if (!tables.rows[0]?.ledger) return [];
  const { rows } = await db.query({
    text: "select version, name, hash from hark.migrations order by version",
    values: [],
  });
  return rows as unknown as LedgerRow[];
}

function pendingOf(migrations: Migration[], ledger: LedgerRow[]): Migration[] {
  const last = ledger.at(-1)?.version ?? 0;
  if (last > migrations.length) throw new SchemaVersionError(last, migrations.length);
  for (const applied of ledger) {
    const known = migrations[applied.version - 1];
    if (known && known.hash !== applied.hash) {
      throw new SchemaVersionError(
        last,
        migrations.length,
        `Migration ${applied.name} differs from what was applied to this database. Restore the file as it was applied, and put ` +
          `the change into a new migration. Nothing was changed.`,
      );
    }
  }
  return migrations.slice(last);
}

/** Runs `work` on a session of its own. Throws {@link DatabaseUnreachableError} if there is none. */
export async function withClient<Answer>(
  connectionString: string,
  deadlineMs: number,
  work: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const client = new Client({
    connectionString,
    connectionTimeoutMillis: 5_000,
    query_timeout: deadlineMs,
    application_name: "hark migrate",
  });
  client.on("error", () => {}); // a lost connection rejects the query that runs; alone it must not end the process (FM-06)
  try {
    await client.connect();
  } catch (error) {
    throw new DatabaseUnreachableError(describeUrl(connectionString), error);
  }
  try {
    return await work(client);
  } finally {
    await orLate(client.end(), goodbyeMs); // also ends a transaction that failed
  }
}
