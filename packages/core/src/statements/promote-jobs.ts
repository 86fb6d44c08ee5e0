import { statement } from "./statement.ts";

export interface Promotion {
  readonly promoted: number;
  /** Until the earliest job that is still scheduled is due, in ms by the database's clock; negative if it is due already. */
  readonly nextDueInMs: number | undefined;
}

/**
 * Makes up to `limit` due jobs ready, by updating their run_at to now; the trigger announces their queues. Answers how many,
 * and when the next is due. The look-ahead reads the snapshot from before the update, so it leaves out what it promoted.
 */
export const promoteJobs = statement<{ limit: number }, Promotion>(
  "promote-jobs",
  ["limit"],
  `with due as materialized (
     select id from hark.jobs where state = 'scheduled' and run_at <= statement_timestamp()
      order by run_at limit $1 for update skip locked),
   promoted as (
     update hark.jobs set state = 'ready', run_at = clock_timestamp()
      where id = any (array(select id from due)) and state = 'scheduled' returning id)
   select (select count(*) from promoted)::int as promoted,
          (select extract(epoch from run_at - clock_timestamp())::float8 * 1000 from hark.jobs
            where state = 'scheduled' and not id = any (array(select id from due))
            order by run_at limit 1) as next_due_in_ms`,
  (row) => ({
    promoted: row.promoted as number,
    nextDueInMs: row.next_due_in_ms === null ? undefined : Number(row.next_due_in_ms),
  }),
);
