import { statement } from "../statement.ts";

export interface UnhandledType {
  readonly queue: string;
  readonly type: string;
  /** How long the oldest of its ready jobs has waited, in ms. */
  readonly waitingMs: number;
}

/**
 * Types that a worker has no handler for among the 1,000 most urgent ready jobs of each of these
 * queues, at most 20 of a queue. Jobs that nobody runs rise to that head.
 * Why two conditions that always hold: see {@link surveyHead}.
 */
export const unhandledTypes = statement<{ queues: readonly string[]; types: readonly string[] }, UnhandledType>(
  "unhandled-types",
  ["queues", "types"],
  `select queue, type, waiting_ms
     from unnest($1::text[]) asked (queue) cross join lateral (
       select type, extract(epoch from clock_timestamp() - min(run_at))::float8 * 1000 as waiting_ms
         from (select type, run_at from hark.jobs
                where jobs.queue = asked.queue and state = 'ready' and priority >= (select -2147483648) and id > (select 0)
                order by priority desc, id limit 1000) head
        where type <> all ($2::text[])
        group by type order by type limit 20) unhandled
    order by queue, type`,
  (row) => ({ queue: row.queue as string, type: row.type as string, waitingMs: Number(row.waiting_ms) }),
);
