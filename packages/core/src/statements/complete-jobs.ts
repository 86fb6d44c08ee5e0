import { asId, statement } from "./statement.ts";

/** A claimed job's identity: what every write for it must name. */
export interface Claim {
  readonly id: bigint;
  readonly token: string;
}

/**
 * Settles jobs that succeeded and answers the ids it moved; a claim that no longer holds is not among them. Names only id
 * and token, or the planner takes a wrong index. A success after failed tries goes into the ledger beside them.
 */
export const completeJobs = statement<{ completed: string }, { id: bigint }>(
  "complete-jobs",
  ["completed"],
  `with settled as (
     delete from hark.running_jobs job
      using jsonb_to_recordset($1::jsonb) as done (id bigint, token uuid, result jsonb)
      where job.id = done.id and job.token = done.token
     returning job.*, done.result),
   finished as (
     insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                     run_at, created_at, state, result, started_at, finished_at, worker)
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
            run_at, created_at, 'completed', result, started_at, clock_timestamp(), worker from settled),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, worker, token, started_at, finished_at)
     select id, queue, type, attempt, 'completed', worker, token, started_at, clock_timestamp()
       from settled where attempt > 1),
   counted as (insert into hark.stats (queue, completed) select queue, count(*) from settled group by queue)
   select id from settled`,
  (row) => ({ id: asId(row.id) }),
);

/** The request of {@link completeJobs}: one JSON array, in id order (FM-31), each result serialised once. */
export function completedJson(jobs: readonly (Claim & { readonly resultJson: string | null })[]): string {
  const ordered = jobs.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  return `[${ordered.map(({ id, token, resultJson }) => `{"id":${id},"token":"${token}","result":${resultJson}}`).join(",")}]`;
}
