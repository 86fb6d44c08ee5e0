import { statement } from "../statement.ts";

/**
 * Cancels a job that waits or runs, and returns the state it was in; no row if it was finished or
 * never existed. A running job's row goes, so that its worker's outcome touches nothing, and its
 * worker is told to abort it. A ready job hands its key on, as a running one does by its trigger:
 * it may be the one that others were parked behind.
 */
export const cancelJob = statement<{ id: bigint }, { wasIn: "scheduled" | "ready" | "parked" | "running" }>(
  "cancel-job",
  ["id"],
  `with waiting as (delete from hark.jobs where id = $1 returning *),
   running as (delete from hark.running_jobs where id = $1 returning *),
   cancelled as (
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at,
            state, null::timestamptz as started_at, null::uuid as worker, null::uuid as token from waiting
     union all
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at,
            'running', started_at, worker, token from running),
   finished as (
     insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                     run_at, created_at, state, started_at, finished_at, worker)
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
            run_at, created_at, 'cancelled', started_at, clock_timestamp(), worker from cancelled),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, worker, token, started_at, finished_at)
     select id, queue, type, attempt, 'cancelled', worker, token, started_at, clock_timestamp() from cancelled),
   counted as (insert into hark.stats (queue, cancelled) select queue, 1 from cancelled),
   told as (select pg_notify('job_cancelled', id::text) from running),
   handed as (select hark.hand_off(queue, key) from waiting where state = 'ready' and key is not null)
   select state as was_in, (select count(*) from told), (select count(*) from handed) from cancelled`,
  (row) => ({ wasIn: row.was_in as "scheduled" }),
);
