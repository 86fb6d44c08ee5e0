import type { Queryable } from "../database.ts";

/** Whether the connected role may migrate, and what an administrator does if it may not. */
export interface MigrationRights {
  readonly role: string;
  readonly database: string;
  /** What the role lacks, in words. Empty if it may migrate. */
  readonly missing: string;
  /** The statement for an administrator. Empty if the role may migrate. */
  readonly remedy: string;
}

/** Asks only the catalogue, so that nothing is refused. */
export async function findMigrationRights(db: Queryable): Promise<MigrationRights> {
  const { rows } = await db.query({
    text: `select current_user as role, current_database() as database, quote_ident(current_user) as quoted,
                  has_database_privilege(current_database(), 'create') as "mayMakeSchema",
                  nspname is not null as "hasSchema", has_schema_privilege(hark.oid, 'create') as "mayCreate",
                  (select quote_ident(pg_get_userbyid(relowner)) from pg_class
                    where relnamespace = hark.oid and relkind in ('r', 'p') and not pg_has_role(relowner, 'usage') limit 1) as "otherOwner"
             from (values (1)) one left join pg_namespace hark on nspname = 'hark'`,
    values: [],
  });
  const found = rows[0] as {
    role: string;
    database: string;
    quoted: string;
    mayMakeSchema: boolean;
    hasSchema: boolean;
    mayCreate: boolean | null;
    otherOwner: string | null;
  };
  const { role, database, quoted } = found;
  const rights = (missing: string, remedy: string): MigrationRights => ({ role, database, missing, remedy });
  if (!found.hasSchema && !found.mayMakeSchema)
    return rights("create on the database", `create schema hark authorization ${quoted};`);
  if (found.otherOwner !== null)
    return rights(
      `the ownership of Hark's tables, which ${found.otherOwner} has`,
      `grant ${found.otherOwner} to ${quoted};`,
    );
  if (found.hasSchema && found.mayCreate !== true)
    return rights("create on the schema hark", `grant usage, create on schema hark to ${quoted};`);
  return rights("", "");
}
