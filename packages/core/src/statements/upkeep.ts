import type { Queryable } from "../database.ts";
import { statement } from "./statement.ts";

/** Makes the history's partitions of today and the days after it that are missing; answers how many. */
export const createPartitions = statement<{ daysAhead: number }, { created: number }>(
  "create-partitions",
  ["daysAhead"],
  `select hark.create_partitions($1) as created`,
  (row) => ({ created: row.created as number }),
);

export interface DroppedHistory {
  /** Partitions: at most one a call, since its lock lasts as long as the call. */
  readonly dropped: number;
  /** Rows that had found no partition of their day; some at a time. */
  readonly deleted: number;
  /** Partitions that somebody reads or writes: they go another time. */
  readonly waiting: number;
}

/** Drops some of the history older than `keepDays`. To be called until it answers that nothing went. */
export const dropPartitions = statement<{ keepDays: number }, DroppedHistory>(
  "drop-partitions",
  ["keepDays"],
  `select dropped, deleted, waiting from hark.drop_partitions($1)`,
  (row) => ({ dropped: row.dropped as number, deleted: row.deleted as number, waiting: row.waiting as number }),
);

/** Folds up to `limit` deltas of hark.stats into one row a queue, and answers how many. Readers see the same sums before and after. */
export const foldStats = statement<{ limit: number }, { folded: number }>(
  "fold-stats",
  ["limit"],
  `with folded as (
     delete from hark.stats where ctid = any (array(select ctid from hark.stats limit $1 for update skip locked)) returning *),
   kept as (
     insert into hark.stats (queue, completed, cancelled, dead)
     select queue, sum(completed), sum(cancelled), sum(dead) from folded group by queue)
   select count(*)::int as folded from folded`,
  (row) => ({ folded: row.folded as number }),
);

/**
 * Clears the tables that jobs pass through of the rows that they left behind, but for those that another vacuum is at. PostgreSQL leaves
 * out what the role may not vacuum, without an error. No statement with a name: VACUUM cannot be prepared by PREPARE.
 */
export async function vacuumPassedTables(db: Queryable): Promise<void> {
  const text = "vacuum (skip_locked, parallel 0) hark.jobs, hark.running_jobs, hark.unique_keys";
  await db.query({ text, values: [] });
}
