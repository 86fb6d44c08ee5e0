import { statement } from "../statement.ts";

export interface UnhandledType {
  readonly queue: string;
  readonly type: string;
  /** How long the oldest of its ready jobs has waited, in ms. */
  readonly waitingMs: number;
}

/**
 * Types of ready jobs in these queues that a worker has no handler for, at most 20 of a queue. It
 * looks at no more than 1,000 such jobs of each.
 */
export const unhandledTypes = statement<{ queues: readonly string[]; types: readonly string[] }, UnhandledType>(
  "unhandled-types",
  ["queues", "types"],
  `select queue, type, waiting_ms
     from unnest($1::text[]) asked (queue) cross join lateral (
       select type, extract(epoch from clock_timestamp() - min(run_at))::float8 * 1000 as waiting_ms
         from (select type, run_at from hark.jobs
                where jobs.queue = asked.queue and state = 'ready' and type <> all ($2::text[])
                order by priority desc, id limit 1000) ready
        group by type order by type limit 20) unhandled
    order by queue, type`,
  (row) => ({ queue: row.queue as string, type: row.type as string, waitingMs: Number(row.waiting_ms) }),
);
