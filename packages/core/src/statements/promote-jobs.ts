import { statement } from "./statement.ts";

export interface Promotion {
  readonly promoted: number;
  /** Until the earliest job that is still scheduled is due, in ms by the database's clock; negative if it is due already. */
  readonly nextDueInMs: number | undefined;
  /** The same moment in epoch ms, as job_scheduled's payloads have it. */
  readonly nextDueAtMs: number | undefined;
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
          extract(epoch from next.run_at - clock_timestamp())::float8 * 1000 as next_due_in_ms,
          floor(extract(epoch from next.run_at) * 1000)::float8 as next_due_at_ms
     from (values (1)) one left join lateral (
       select run_at from hark.jobs where state = 'scheduled' and not id = any (array(select id from due))
        order by run_at limit 1) next on true`,
  (row) => ({
    promoted: row.promoted as number,
    nextDueInMs: row.next_due_in_ms === null ? undefined : Number(row.next_due_in_ms),
    nextDueAtMs: row.next_due_at_ms === null ? undefined : Number(row.next_due_at_ms),
  }),
);
