import type { Outcome } from "../outcome.ts";
import type { Claim } from "./complete-jobs.ts";
import { asId, statement } from "./statement.ts";

export type RetriedJob = Claim & Omit<Extract<Outcome, { state: "scheduled" }>, "state">;

/**
 * Puts jobs back under their old ids, due after their delay, and answers the ids it moved. The same statement serves retries,
 * snoozes and jobs handed back by a worker that stops: they differ in delay, attempt and ending only.
 */
export const retryJobs = statement<{ retried: string }, { id: bigint }>(
  "retry-jobs",
  ["retried"],
  `with settled as (
     delete from hark.running_jobs job
      using jsonb_to_recordset($1::jsonb) as tried
        (id bigint, token uuid, ending text, error text, delay_ms float8, attempt smallint)
      where job.id = tried.id and job.token = tried.token
     returning job.*, tried.ending, tried.error, tried.attempt as counted_attempt,
               clock_timestamp() + tried.delay_ms * interval '1 ms' as retry_at, tried.delay_ms),
   back as (
     insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                            run_at, created_at, state)
     select id, queue, type, payload, priority, counted_attempt, max_attempts, crash_count, key, unique_key,
            retry_at, created_at, case when delay_ms > 0 then 'scheduled' else 'ready' end from settled order by id),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, error, worker, token, started_at, finished_at, retry_at)
     select id, queue, type, attempt, ending, error, worker, token, started_at, clock_timestamp(), retry_at from settled)
   select id from settled`,
  (row) => ({ id: asId(row.id) }),
);

/** The request of {@link retryJobs}, in id order (FM-31). */
export function retriedJson(jobs: readonly RetriedJob[]): string {
  return JSON.stringify(
    jobs
      .toSorted((one, other) => (one.id < other.id ? -1 : 1))
      .map(({ id, token, ending, error, delayMs, attempt }) => ({
        id: String(id),
        token,
        ending,
        error,
        delay_ms: delayMs,
        attempt,
      })),
  );
}
