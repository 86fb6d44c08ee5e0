import { statement } from "../statement.ts";

/** The head of a queue: its most urgent ready jobs, at most 1,000. */
export interface QueueHead {
  readonly isFull: boolean;
  /** How many of them are of other types than the given ones, from 0 to 1. */
  readonly foreignShare: number;
}

/**
 * How much of a queue's head a claim of these types would have to step over.
 *
 * The two last conditions always hold. The planner does not know what a subquery returns, so it
 * expects few rows and walks the index jobs_ready in order. With statistics from when the table was
 * empty it would otherwise read and sort the whole queue.
 */
export const surveyHead = statement<{ queue: string; types: readonly string[] }, QueueHead>(
  "survey-head",
  ["queue", "types"],
  `select count(*) = 1000 as is_full,
          coalesce(avg((type <> all ($2::text[]))::integer), 0)::float8 as foreign_share
     from (select type from hark.jobs
            where queue = $1 and state = 'ready' and priority >= (select -2147483648) and id > (select 0)
            order by priority desc, id limit 1000) head`,
  (row) => ({ isFull: row.is_full as boolean, foreignShare: Number(row.foreign_share) }),
);
