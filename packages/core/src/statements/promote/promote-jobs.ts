import { statement } from "../statement.ts";

export interface Promotion {
  readonly promoted: number;
  /**
   * Until the earliest job that is still scheduled is due, in ms by the database's clock; negative
   * if it is due already.
   */
  readonly nextDueInMs: number | undefined;
  /** The same moment in epoch ms, as job_scheduled's payloads have it. */
  readonly nextDueAtMs: number | undefined;
  /** What was due by this moment has been looked at, in epoch ms by the database's clock. */
  readonly lookedAtMs: number;
}

export interface PromotionRequest {
  readonly limit: number;
  /**
   * Only jobs due at this moment or later, in epoch ms; -Infinity for all. An old snapshot keeps
   * the index entries of promoted jobs, and passing over them took 1 ms for 1,000 (PostgreSQL
   * 18.4): a look that starts behind them does not.
   */
  readonly afterMs: number;
  /** Only these; all if not given. */
  readonly ids?: readonly bigint[] | undefined;
  /** None of these, nor when they are due. */
  readonly except?: readonly bigint[] | undefined;
}

/**
 * Makes up to `limit` due jobs ready, by updating their run_at to now; the trigger announces their
 * queues. Returns how many, and when the next is due. The look-ahead reads the snapshot from before
 * the update, so it leaves out what it promoted.
 */
export const promoteJobs = statement<PromotionRequest, Promotion>(
  "promote-jobs",
  ["limit", "afterMs", "ids", "except"],
  `with due as materialized (
     select id from hark.jobs
      where state = 'scheduled' and run_at >= to_timestamp($2::float8 / 1000) and run_at <= statement_timestamp()
        and ($3::bigint[] is null or id = any ($3)) and id not in (select unnest($4::bigint[]))
      order by run_at limit $1 for update skip locked),
   promoted as (
     update hark.jobs set state = 'ready', run_at = clock_timestamp()
      where id = any (array(select id from due)) and state = 'scheduled' returning id)
   select (select count(*) from promoted)::int as promoted,
          extract(epoch from next.run_at - clock_timestamp())::float8 * 1000 as next_due_in_ms,
          floor(extract(epoch from next.run_at) * 1000)::float8 as next_due_at_ms,
          floor(extract(epoch from statement_timestamp()) * 1000)::float8 as looked_at_ms
     from (values (1)) one left join lateral (
       select run_at from hark.jobs
        where state = 'scheduled' and run_at >= to_timestamp($2::float8 / 1000)
          and not id = any (array(select id from due)) and id not in (select unnest($4::bigint[]))
        order by run_at limit 1) next on true`,
  (row) => ({
    promoted: row.promoted as number,
    nextDueInMs: row.next_due_in_ms === null ? undefined : Number(row.next_due_in_ms),
    nextDueAtMs: row.next_due_at_ms === null ? undefined : Number(row.next_due_at_ms),
    lookedAtMs: Number(row.looked_at_ms),
  }),
);
