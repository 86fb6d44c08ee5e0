import { statement } from "./statement.ts";

/** Makes the history's partitions of today and the days after it; answers how many were missing. */
export const createPartitions = statement<{ daysAhead: number }, { created: number }>(
  "create-partitions",
  ["daysAhead"],
  `select hark.create_partitions($1) as created`,
  (row) => ({ created: row.created as number }),
);

/** Drops the history's partitions older than `keepDays`, whole; answers how many. */
export const dropPartitions = statement<{ keepDays: number }, { dropped: number }>(
  "drop-partitions",
  ["keepDays"],
  `select hark.drop_partitions($1) as dropped`,
  (row) => ({ dropped: row.dropped as number }),
);

/** Folds the deltas of hark.stats into one row a queue. Readers see the rows before or after, and the same sums. */
export const foldStats = statement<Record<string, never>, never>(
  "fold-stats",
  [],
  `with folded as (
     delete from hark.stats where ctid = any (array(select ctid from hark.stats limit 10000 for update skip locked)) returning *)
   insert into hark.stats (queue, completed, cancelled, dead)
   select queue, sum(completed), sum(cancelled), sum(dead) from folded group by queue`,
  () => {
    throw new Error("folding returns no rows");
  },
);
