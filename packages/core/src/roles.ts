import { checkOptions } from "./check-options.ts";
import { RolesForbiddenError, SchemaVersionError } from "./errors/index.ts";
import { type MigrateOptions, migrateOptions } from "./migrate.ts";
import { underMigrationLock, withClient } from "./migration-session.ts";
import { schemaVersionOn } from "./schema-version.ts";
import { isPermissionDenied } from "./sqlstate.ts";

/** The roles that drizzle/roles.sql makes, which stand for the whole server. */
export const roleNames = ["hark_producer", "hark_worker", "hark_reader", "hark_admin"] as const;

/** How long the script may take once it is its turn, in ms: it touches the catalogue only. */
const scriptDeadlineMs = 30_000;

/**
 * Returns the script that makes the roles and grants them what they need, for a login that may
 * create roles.
 */
export async function readRolesScript(): Promise<string> {
  const { rolesText } = await import("./migration-texts.ts");
  return rolesText;
}

/**
 * Makes the roles {@link roleNames} where they are missing, and grants each what it needs and
 * nothing else (SEC-01). Call it after every migrate(); any number of processes may do so at once.
 * @throws SchemaVersionError if this code does not run with the schema
 * @throws MigrationBlockedError if somebody held a table or the migrations' lock all the time
 * @throws RolesForbiddenError if the login may not create roles, or does not own the schema
 * @throws DatabaseUnreachableError
 */
export async function createRoles(options: MigrateOptions): Promise<void> {
  checkOptions("createRoles", options, migrateOptions);
  const { waitMs = 60_000, ...login } = options;
  const script = await readRolesScript();
  await withClient(login, scriptDeadlineMs, async (client) => {
    const { found, wanted, pending } = await schemaVersionOn(client);
    if (pending.length > 0) throw new SchemaVersionError({ found, wanted });
    try {
      await underMigrationLock(client, waitMs, async () => {
        await client.query("set local client_min_messages = warning"); // "relation already exists, skipping" tells nobody anything
        await client.query(script);
      });
    } catch (error) {
      if (isPermissionDenied(error)) throw new RolesForbiddenError(error as Error);
      throw error;
    }
  });
}
