import type { Queryable } from "../queryable.ts";

/**
 * Returns the names of event triggers of others that see Hark's upkeep, which makes and drops a
 * table a day. One that fails keeps days of history from being made and dropped.
 */
export async function listEventTriggers(db: Queryable): Promise<string[]> {
  const { rows } = await db.query({
    text: `select evtname as name from pg_event_trigger
            where evtenabled <> 'D' and evtevent in ('ddl_command_start', 'ddl_command_end', 'sql_drop')
              and (evttags is null or evttags && array['CREATE TABLE', 'ALTER TABLE', 'DROP TABLE'])
              and not exists (select from pg_depend where classid = 'pg_event_trigger'::regclass and objid = pg_event_trigger.oid
                                                       and deptype = 'e')
            order by evtname`,
    values: [],
  });
  return rows.map(({ name }) => String(name));
}
