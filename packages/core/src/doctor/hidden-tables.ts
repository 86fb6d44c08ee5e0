import type { Queryable } from "../database.ts";

/**
 * Returns the tables of Hark whose rows are all hidden from the connected role, although it may
 * read them: row level security is on, and there is no policy. Then nothing is found, nothing runs,
 * and no statement fails.
 */
export async function listHiddenTables(db: Queryable): Promise<string[]> {
  const { rows } = await db.query({
    text: `select relname as name from pg_class
            where relnamespace = to_regnamespace('hark') and relkind in ('r', 'p') and not relispartition
              and relrowsecurity and row_security_active(oid) and has_table_privilege(oid, 'select')
              and not exists (select from pg_policy where polrelid = pg_class.oid)
            order by relname`,
    values: [],
  });
  return rows.map(({ name }) => String(name));
}
