import { statement } from "../statement.ts";

export interface PruneRequest {
  /** Only jobs that died at least this long ago, in ms. */
  readonly olderThanMs: number;
  /** Only this job type. Null for every type. */
  readonly type: string | null;
  readonly limit: number;
}

/**
 * Deletes up to `limit` of the oldest dead letters of an age for ever, and returns how many; a
 * trigger takes them off the counts. Steps over rows that another session holds.
 */
export const pruneDeadJobs = statement<PruneRequest, { pruned: number }>(
  "prune-dead-jobs",
  ["olderThanMs", "type", "limit"],
  `with old as materialized (
     select id from hark.dead_jobs
      where finished_at <= clock_timestamp() - $1::float8 * interval '1 ms' and ($2::text is null or type = $2)
      order by finished_at, id limit $3 for update skip locked),
   gone as (
     delete from hark.dead_jobs where id = any (array(select id from old)) returning true)
   select count(*)::integer as pruned from gone`,
  (row) => ({ pruned: row.pruned as number }),
);
