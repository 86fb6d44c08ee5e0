import { type Check, ok, spoken, warn } from "./check.ts";

/** An idle worker claims a job in milliseconds; ready for this long, it waits for something, in ms. */
const longMs = 30_000;

/** Ready jobs looked at: enough to see what waits, few enough for any backlog. */
const mostJobs = 10_000;

interface WaitingType {
  queue: string;
  type: string;
  jobs: number;
  waiting_ms: number;
  is_served: boolean;
  is_running: boolean;
}

export const waitingTypesCheck: Check = {
  name: "waiting jobs",
  needs: "schema",
  async examine({ db }) {
    const { rows } = await db.query({
      // Ready since its run_at or, where that was in the past already, since it was made.
      text: `select queue, type, count(*)::int as jobs,
                    extract(epoch from clock_timestamp() - min(ready_at))::float8 * 1000 as waiting_ms,
                    exists (select from hark.workers
                             where dead_at is null and expires_at > clock_timestamp() and queues ? waiting.queue) as is_served,
                    exists (select from hark.running_jobs running
                             where running.queue = waiting.queue and running.type = waiting.type) as is_running
               from (select queue, type, greatest(run_at, created_at) as ready_at from hark.jobs
                      where state = 'ready' and greatest(run_at, created_at) < clock_timestamp() - $1::float8 * interval '1 ms'
                      limit $2) waiting
              group by queue, type order by waiting_ms desc limit 20`,
      values: [longMs, mostJobs],
    });
    const waiting = rows as unknown as WaitingType[];
    if (waiting.length === 0) return ok(`none is ready for more than ${longMs / 1_000} s`);
    const message = waiting
      .map(({ queue, type, jobs, waiting_ms }) => `${jobs} of ${type} in ${queue} for up to ${spoken(waiting_ms)}`)
      .join("; ");
    return warn(`ready without being claimed: ${message}`, [...new Set(waiting.map(adviceOn))].join(" "), {
      waiting: waiting.map((row) => ({
        queue: row.queue,
        type: row.type,
        jobs: row.jobs,
        waitingMs: Math.round(row.waiting_ms),
        isServed: row.is_served,
        isRunning: row.is_running,
      })),
    });
  },
};

function adviceOn({ queue, type, is_served, is_running }: WaitingType): string {
  if (!is_served) return `No live worker is on queue ${queue}: start one.`;
  if (is_running) return `Workers of ${queue} are busy with ${type}: raise their concurrency, or start more.`;
  return `Workers of ${queue} have no handler for ${type}, or are busy with other types: add implement() for it, or start more.`;
}
