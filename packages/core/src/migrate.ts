import type { Client } from "pg";
import { checkOptions, type OptionKinds } from "./check-options.ts";
import { longestTimerMs } from "./clock.ts";
import { findMigrationRights } from "./doctor/migration-rights.ts";
import { InvalidOptionsError, MigrationForbiddenError } from "./errors/index.ts";
import { underMigrationLock, withClient } from "./migration-session.ts";
import { type Migration, readMigrations } from "./migrations.ts";
import { ledgerStatements, pendingOf, readLedger, readOwnLedger } from "./schema-version.ts";
import type { Login } from "./session.ts";
import { isPermissionDenied } from "./sqlstate.ts";

/** The login will own the schema. */
export interface MigrateOptions extends Login {
  /**
   * Longest wait for other processes that migrate, and for tables that others use, in ms; 60 s if
   * not given.
   */
  waitMs?: number;
}

/**
 * How long one statement of a migration may take, in ms: an index over a large table takes its
 * time.
 */
const statementDeadlineMs = 600_000;

export const migrateOptions: OptionKinds<MigrateOptions> = { connectionString: "text", password: "any", waitMs: "any" };

/**
 * Brings the database's Hark schema to this code's version under an advisory lock: any number of
 * processes may call it at once (FM-43), also while workers run (FM-44). What is pending is one
 * transaction, but for migrations that have to stand outside of one. Returns the names of the
 * migrations that this call applied; none if the schema is newer and lets this code in.
 * @throws SchemaVersionError if the schema needs newer code, or an applied migration was changed
 * since
 * @throws SchemaWithoutLedgerError if there are tables, but it is not known which migrations made
 * them
 * @throws MigrationForbiddenError if the login lacks a right, with what an administrator has to do
 * @throws MigrationBlockedError if somebody held a table or the migrations' lock all the time
 * @throws DatabaseUnreachableError, InvalidOptionsError
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  checkOptions("migrate", options, migrateOptions);
  const { waitMs = 60_000, ...login } = options;
  if (!(typeof waitMs === "number" && waitMs >= 0 && waitMs <= longestTimerMs))
    throw new InvalidOptionsError("migrate", [{ path: ["waitMs"], message: "must be milliseconds, at most 24 days" }]);
  const migrations = await readMigrations();
  return withClient(login, statementDeadlineMs, async (client) => {
    const applied: string[] = [];
    try {
      // Most calls find nothing to do, and need no lock to see it.
      while (pendingOf(migrations, await readLedger(client)).length > 0)
        applied.push(...(await underMigrationLock(client, waitMs, () => applyNext(client, login, migrations))));
      return applied;
    } catch (error) {
      if (!isPermissionDenied(error)) throw error;
      await client.query("rollback");
      throw new MigrationForbiddenError(await findMigrationRights(client), error as Error);
    }
  });
}

/**
 * Applies what can be applied next: all that is pending, up to a change between inside and outside.
 */
async function applyNext(client: Client, login: Login, migrations: readonly Migration[]): Promise<string[]> {
  for (const text of ledgerStatements) await client.query(text);
  await client.query("lock table hark.migrations in share row exclusive mode"); // no login without rights can hold it
  const pending = pendingOf(migrations, await readOwnLedger(client));
  return pending[0]?.isOutsideTransaction ? applyOutside(client, login, pending[0]) : applyInside(client, pending);
}

/**
 * Applies pending migrations in the transaction of the lock, up to the first that stands outside of
 * one.
 */
async function applyInside(client: Client, pending: readonly Migration[]): Promise<string[]> {
  const firstOutside = pending.findIndex(({ isOutsideTransaction }) => isOutsideTransaction);
  const group = firstOutside === -1 ? pending : pending.slice(0, firstOutside);
  for (const migration of group) {
    for (const text of migration.statements) await client.query(text);
    await writeDown(client, migration);
  }
  await client.query("select hark.create_partitions(7)");
  return group.map(({ name }) => name);
}

/**
 * Applies a migration statement by statement on a session beside the lock's, which stands idle
 * without a snapshot meanwhile. What a crash leaves of it is met by the next try, so its statements
 * are such that they can run again.
 */
async function applyOutside(client: Client, login: Login, migration: Migration): Promise<string[]> {
  await withClient(login, statementDeadlineMs, async (beside) => {
    for (const text of migration.statements) await beside.query(text);
  });
  await writeDown(client, migration);
  return [migration.name];
}

async function writeDown(client: Client, { version, name, hash, oldestCode }: Migration): Promise<void> {
  await client.query("insert into hark.migrations (version, name, hash, oldest_code) values ($1, $2, $3, $4)", [
    version,
    name,
    hash,
    oldestCode,
  ]);
}
