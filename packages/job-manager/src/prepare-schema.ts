import { checkSchema, type Logger, type Login, migrate, schemaVersion } from "@hark/core";

/**
 * Makes sure that the database has this code's schema. Brings it up to date if it is not and
 * `mayMigrate`. Asks first, since a login that may not migrate needs no more if all is there.
 * @throws SchemaVersionError, DatabaseUnreachableError, MigrationBlockedError
 */
export async function prepareSchema(
  { connectionString, password }: Login,
  mayMigrate: boolean,
  logger: Logger,
): Promise<void> {
  if (!mayMigrate) return checkSchema(connectionString, { password });
  const { pending } = await schemaVersion(connectionString, { password });
  if (pending.length === 0) return;
  const applied = await migrate({ connectionString, password });
  if (applied.length > 0) logger.info({ applied }, "migrated the database");
}
