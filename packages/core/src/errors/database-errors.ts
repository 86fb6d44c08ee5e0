import { codeOf } from "../sqlstate.ts";
import { HarkError } from "./hark-error.ts";

/** PostgreSQL could not be reached. */
export class DatabaseUnreachableError extends HarkError {
  constructor(where: string, cause: unknown) {
    super(
      "DATABASE_UNREACHABLE",
      { where },
      `No PostgreSQL answered at ${where} (${cause instanceof Error ? cause.message || codeOf(cause) || cause.name : String(cause)}). Check that it runs and that ` +
        `the connection string is right.`,
      { cause },
    );
  }
}

/** The schema of the database does not fit this version of the code. */
export class SchemaVersionError extends HarkError {
  /**
   * `found` is the schema's version, null if there is none, and `wanted` this code's. `oldestCode`:
   * the oldest code that the schema lets in, if this is older. `changed`: the applied migration
   * that differs from this code's.
   */
  constructor(facts: { found: number | null; wanted: number; oldestCode?: number; changed?: string }) {
    const { found, wanted, oldestCode, changed } = facts;
    super(
      "SCHEMA_VERSION",
      facts,
      changed !== undefined
        ? `Migration ${changed} differs from what was applied to this database. Restore the file as it was applied, and put ` +
            `the change into a new migration. Nothing was changed.`
        : found === null
          ? `The database has no Hark schema. Run "hark migrate" first.`
          : oldestCode === undefined
            ? `The database's Hark schema is at version ${found}, this code needs ${wanted}. Run "hark migrate".`
            : `The database's Hark schema is at version ${found}, newer than the ${wanted} this code knows, and lets in code from ` +
              `version ${oldestCode} on. Update Hark here.`,
    );
  }
}

/** The schema has tables, but the ledger of its migrations is empty. */
export class SchemaWithoutLedgerError extends HarkError {
  constructor() {
    super(
      "SCHEMA_WITHOUT_LEDGER",
      {},
      `The schema "hark" has tables, but its ledger hark.migrations is empty, as after a dump without data, or with tables that ` +
        `drizzle-kit made. So it is not known which migrations made them, and nothing was changed. If there are no jobs to keep, run ` +
        `"drop schema hark cascade" and then "hark migrate". Otherwise restore the rows of hark.migrations from the database that ` +
        `was dumped: pg_dump --data-only --table=hark.migrations.`,
    );
  }
}

/** The login may not do what a migration needs. */
export class MigrationForbiddenError extends HarkError {
  constructor(
    { role, database, missing, remedy }: { role: string; database: string; missing: string; remedy: string },
    cause: Error,
  ) {
    super(
      "MIGRATION_FORBIDDEN",
      { role, database, missing, remedy },
      missing === ""
        ? `${role} may not migrate the database ${database}: ${cause.message}. Migrate with the login that owns the schema "hark". ` +
            `Nothing was changed.`
        : `${role} may not migrate the database ${database}: it lacks ${missing}. An administrator runs this there, once: ` +
            `${remedy} Nothing was changed.`,
      { cause },
    );
  }
}

/** Row level security hides Hark's rows from the login. */
export class RowsHiddenError extends HarkError {
  constructor(tables: readonly string[]) {
    super(
      "ROWS_HIDDEN",
      { tables },
      `Row level security is on for ${tables.map((table) => `hark.${table}`).join(", ")}, and no policy lets this login see a row. ` +
        `Nothing would run, and nothing would fail. Switch it off with "alter table hark.<table> disable row level security", or ` +
        `create policies for the login.`,
    );
  }
}

/** A migration could not get a lock in time. */
export class MigrationBlockedError extends HarkError {
  constructor(waitMs: number, cause: unknown) {
    super(
      "MIGRATION_BLOCKED",
      { waitMs },
      `For ${waitMs} ms somebody held what the migration needs to lock: a table, or the lock under which migrations run. Nothing ` +
        `was changed, and nobody was held up. Look for a long transaction in pg_stat_activity, end it or wait for it, and try again.`,
      { cause },
    );
  }
}

/** The login may not create roles, or does not own the schema. */
export class RolesForbiddenError extends HarkError {
  constructor(cause: Error) {
    super(
      "ROLES_FORBIDDEN",
      {},
      `The roles were not made: ${cause.message}. It takes the owner of the schema "hark", with CREATEROLE while a role is ` +
        `missing. "hark migrate --roles --sql" prints the script for an administrator. Nothing was changed.`,
      { cause },
    );
  }
}

/** The thread that renews a worker's lease could not load. */
export class LeaseThreadError extends HarkError {
  constructor(cause: unknown) {
    super(
      "LEASE_THREAD_FAILED",
      {},
      `The worker's lease thread could not load (${cause instanceof Error ? cause.message : "it ended without an error"}). ` +
        `Without it the worker has no right to any job, so it did not start. Check that this runtime has node:worker_threads ` +
        `and lets them start from text.`,
      { cause },
    );
  }
}

/** This Node is older than the oldest that Hark runs on. Thrown by the import of Hark. */
export class UnsupportedNodeError extends HarkError {
  constructor(found: string, complaint: string) {
    super("UNSUPPORTED_NODE", { found }, complaint);
  }
}
