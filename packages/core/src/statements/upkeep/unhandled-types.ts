import { statement } from "../statement.ts";

/**
 * Types of ready jobs in a queue that a worker has no handler for, at most 20, with how long the
 * oldest has waited in ms.
 */
export const unhandledTypes = statement<
  { queue: string; types: readonly string[] },
  { type: string; waitingMs: number }
>(
  "unhandled-types",
  ["queue", "types"],
  `select type, extract(epoch from clock_timestamp() - min(run_at))::float8 * 1000 as waiting_ms
     from (select type, run_at from hark.jobs
            where queue = $1 and state = 'ready' and type <> all ($2::text[])
            order by priority desc, id limit 1000) ready
    group by type order by type limit 20`,
  (row) => ({ type: row.type as string, waitingMs: Number(row.waiting_ms) }),
);
