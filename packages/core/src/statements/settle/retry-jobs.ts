import type { Outcome } from "../../outcome.ts";
import { asId, statement } from "../statement.ts";
import type { Claim } from "./complete-jobs.ts";
import { type OutcomesById, outcomesById } from "./outcomes-by-id.ts";

export type RetriedJob = Claim & Omit<Extract<Outcome, { state: "scheduled" }>, "state">;

/**
 * Puts jobs back under their old ids, due after their delay, and returns the ids it moved. The same
 * statement serves retries, snoozes and jobs handed back by a worker that stops: they differ in
 * delay, attempt and ending only. Each outcome is looked up by id instead of joined: planned while
 * the table was empty, a join would read the whole list for every row.
 */
export const retryJobs = statement<OutcomesById, { id: bigint }>(
  "retry-jobs",
  ["ids", "outcomes"],
  `with settled as (
     delete from hark.running_jobs
      where id = any ($1::bigint[]) and token = ($2::jsonb -> id::text ->> 'token')::uuid
     returning *, $2::jsonb -> id::text as outcome),
   tried as (
     select *, outcome ->> 'ending' as ending, outcome ->> 'error' as error, (outcome ->> 'attempt')::smallint as counted_attempt,
            (outcome ->> 'delay_ms')::float8 as delay_ms,
            clock_timestamp() + (outcome ->> 'delay_ms')::float8 * interval '1 ms' as retry_at from settled),
   back as (
     insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                            run_at, created_at, state)
     select id, queue, type, payload, priority, counted_attempt, max_attempts, crash_count, key, unique_key,
            retry_at, created_at, case when delay_ms > 0 then 'scheduled' else 'ready' end from tried order by id),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, error, worker, token, started_at, finished_at, retry_at)
     select id, queue, type, attempt, ending, error, worker, token, started_at, clock_timestamp(), retry_at from tried)
   select id from settled`,
  (row) => ({ id: asId(row.id) }),
);

/** The request of {@link retryJobs}. */
export function retriedOf(jobs: readonly RetriedJob[]): OutcomesById {
  return outcomesById(jobs, ({ ending, error, delayMs, attempt }) => ({ ending, error, delay_ms: delayMs, attempt }));
}
