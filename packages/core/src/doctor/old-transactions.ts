import type { Queryable } from "../database.ts";

export interface OpenTransaction {
  readonly pid: number;
  readonly application: string;
  readonly role: string;
  readonly state: string;
  readonly ageMs: number;
}

/**
 * The oldest transaction of this database, undefined if none is open; never with its query, which
 * may hold what is nobody's business. Without `seesAll` those of other roles are hidden from this
 * one.
 */
export async function findOldestTransaction(
  db: Queryable,
): Promise<{ oldest: OpenTransaction | undefined; seesAll: boolean }> {
  const { rows } = await db.query({
    text: `select pid, application_name as application, usename as role, state,
                  extract(epoch from clock_timestamp() - xact_start)::float8 * 1000 as "ageMs"
             from pg_stat_activity
            where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
              and backend_type = 'client backend'
            order by xact_start limit 1`,
    values: [],
  });
  const seen = await db.query({ text: `select pg_has_role('pg_read_all_stats', 'usage') as sees`, values: [] });
  return { oldest: rows[0] as OpenTransaction | undefined, seesAll: seen.rows[0]?.sees === true };
}
