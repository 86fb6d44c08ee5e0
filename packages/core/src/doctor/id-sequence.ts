import type { Queryable } from "../queryable.ts";

export interface IdSequence {
  /** The last id that was given out; undefined if this role may not read the sequence. */
  readonly last: bigint | undefined;
  /** The greatest id of a waiting or running job or a dead letter; 0 without any. */
  readonly greatest: bigint;
}

/**
 * Compares the sequence of ids with the tables that need unique ones. A restore or a logical
 * replica may leave it behind, and new jobs then get ids that others have (FM-83).
 */
export async function findIdSequence(db: Queryable): Promise<IdSequence> {
  const { rows } = await db.query({
    text: `select case when has_sequence_privilege(pg_get_serial_sequence('hark.jobs', 'id'), 'select, usage')
                       then coalesce(pg_sequence_last_value(pg_get_serial_sequence('hark.jobs', 'id')), 0)::text end as last,
                  greatest(0, (select max(id) from hark.jobs), (select max(id) from hark.running_jobs),
                           (select max(id) from hark.dead_jobs))::text as greatest`,
    values: [],
  });
  const { last, greatest } = rows[0] as { last: string | null; greatest: string };
  return { last: last === null ? undefined : BigInt(last), greatest: BigInt(greatest) };
}
