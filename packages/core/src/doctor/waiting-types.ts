import type { Queryable } from "../database.ts";

/** Jobs of one type in one queue that are ready and not claimed. */
export interface WaitingType {
  readonly queue: string;
  readonly type: string;
  readonly jobs: number;
  /** How long the oldest of them has been ready, in ms. */
  readonly waitingMs: number;
  /** Whether a live worker is on the queue. */
  readonly isServed: boolean;
  /** Whether another job of the type runs there. */
  readonly isRunning: boolean;
}

/** Ready jobs looked at: enough to see what waits, few enough for any backlog. */
const mostJobs = 10_000;

/**
 * The types of jobs that have been ready for longer than `olderThanMs`, the longest first, at most
 * 20.
 */
export async function listWaitingTypes(
  db: Queryable,
  { olderThanMs }: { olderThanMs: number },
): Promise<WaitingType[]> {
  const { rows } = await db.query({
    // Ready since its run_at or, where that was in the past already, since it was made.
    text: `select queue, type, count(*)::int as jobs,
                  extract(epoch from clock_timestamp() - min(ready_at))::float8 * 1000 as "waitingMs",
                  exists (select from hark.workers
                           where dead_at is null and expires_at > clock_timestamp() and queues ? waiting.queue) as "isServed",
                  exists (select from hark.running_jobs running
                           where running.queue = waiting.queue and running.type = waiting.type) as "isRunning"
             from (select queue, type, greatest(run_at, created_at) as ready_at from hark.jobs
                    where state = 'ready' and greatest(run_at, created_at) < clock_timestamp() - $1::float8 * interval '1 ms'
                    limit $2) waiting
            group by queue, type order by "waitingMs" desc limit 20`,
    values: [olderThanMs, mostJobs],
  });
  return rows as unknown as WaitingType[];
}
