import { statement } from "../statement.ts";

/**
 * Folds up to `limit` deltas of hark.stats into one row a queue, and returns how many. Readers see
 * the same sums before and after.
 */
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
