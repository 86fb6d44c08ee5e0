import type { Outcome } from "../../outcome.ts";
import { asId, statement } from "../statement.ts";
import type { Claim } from "./complete-jobs.ts";
import { type OutcomesById, outcomesById } from "./outcomes-by-id.ts";

export type BuriedJob = Claim & Omit<Extract<Outcome, { state: "dead" }>, "state">;

/**
 * Makes dead letters of jobs that are out of attempts or not worth another, and returns the ids it
 * moved. See retry-jobs.ts.
 */
export const buryJobs = statement<OutcomesById, { id: bigint }>(
  "bury-jobs",
  ["ids", "outcomes"],
  `with settled as (
     delete from hark.running_jobs
      where id = any ($1::bigint[]) and token = ($2::jsonb -> id::text ->> 'token')::uuid
     returning *, $2::jsonb -> id::text as outcome),
   dead as (
     insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                 run_at, created_at, reason, error, started_at, finished_at)
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
            run_at, created_at, outcome ->> 'reason', outcome ->> 'error', started_at, clock_timestamp() from settled),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, error, worker, token, started_at, finished_at)
     select id, queue, type, attempt, outcome ->> 'ending', outcome ->> 'error', worker, token, started_at, clock_timestamp()
       from settled),
   counted as (insert into hark.stats (queue, dead) select queue, count(*) from settled group by queue)
   select id from settled`,
  (row) => ({ id: asId(row.id) }),
);

/** The request of {@link buryJobs}. */
export function buriedOf(jobs: readonly BuriedJob[]): OutcomesById {
  return outcomesById(jobs, ({ ending, reason, error }) => ({ ending, reason, error }));
}
