import type { Queryable } from "../database.ts";

/** A session that holds an advisory lock of Hark's class and is none of Hark's. */
export interface LockHolder {
  readonly pid: number;
  readonly role: string;
  readonly application: string;
  readonly locks: number;
}

/**
 * Sessions that hold advisory locks of Hark's class ("hark" in ASCII), and are neither the gate of
 * a worker nor a migration by their name and role: such a role owns the schema or may read
 * hark.workers.
 */
export async function listLockHolders(db: Queryable): Promise<LockHolder[]> {
  const { rows } = await db.query({
    text: `select held.pid, coalesce(usename::text, 'unknown') as role, coalesce(application_name, '') as application,
                  count(*)::int as locks
             from pg_locks held left join pg_stat_activity session on session.pid = held.pid
            where held.locktype = 'advisory' and held.classid = 1751216747 and held.objsubid = 2 and held.granted
              and held.database = (select oid from pg_database where datname = current_database())
              and not (coalesce(application_name, '') in ('hark gate', 'hark migrate')
                       and has_table_privilege(usename, 'hark.workers', 'select'))
            group by 1, 2, 3 order by locks desc, held.pid limit 10`,
    values: [],
  });
  return rows as unknown as LockHolder[];
}
