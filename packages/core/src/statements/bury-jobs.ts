import type { Outcome } from "../outcome.ts";
import type { Claim } from "./complete-jobs.ts";
import { asId, statement } from "./statement.ts";

export type BuriedJob = Claim & Omit<Extract<Outcome, { state: "dead" }>, "state">;

/** Makes dead letters of jobs that are out of attempts or not worth another, and answers the ids it moved. */
export const buryJobs = statement<{ buried: string }, { id: bigint }>(
  "bury-jobs",
  ["buried"],
  `with settled as (
     delete from hark.running_jobs job
      using jsonb_to_recordset($1::jsonb) as tried (id bigint, token uuid, ending text, reason text, error text)
      where job.id = tried.id and job.token = tried.token
     returning job.*, tried.ending, tried.reason, tried.error),
   dead as (
     insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                 run_at, created_at, reason, error, started_at, finished_at)
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
            run_at, created_at, reason, error, started_at, clock_timestamp() from settled),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, error, worker, token, started_at, finished_at)
     select id, queue, type, attempt, ending, error, worker, token, started_at, clock_timestamp() from settled),
   counted as (insert into hark.stats (queue, dead) select queue, count(*) from settled group by queue)
   select id from settled`,
  (row) => ({ id: asId(row.id) }),
);

/** The request of {@link buryJobs}, in id order (FM-31). */
export function buriedJson(jobs: readonly BuriedJob[]): string {
  return JSON.stringify(
    jobs
      .toSorted((one, other) => (one.id < other.id ? -1 : 1))
      .map(({ id, token, ending, reason, error }) => ({ id: String(id), token, ending, reason, error })),
  );
}
