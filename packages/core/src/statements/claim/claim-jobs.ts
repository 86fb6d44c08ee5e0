import { statement } from "../statement.ts";
import { type ClaimParameters, claimParameters, type ClaimRow } from "./claim-request.ts";

/**
 * Moves up to $2 of the most urgent ready jobs of queue $1 to worker $3, under token $4; higher
 * priority first, then older. Jobs whose key is running stay, and their keys are returned as
 * blocked. A dead worker claims nothing: its row is locked, so that nobody certifies its death
 * before the claim is committed.
 *
 * - The order, the limit and the lock stand in a materialized CTE, which runs once whatever the
 *   plan (FM-26).
 * - Running keys are left out by what the snapshot shows, so a claim never waits for a transaction
 *   that is still completing one of them. Two claims that meet a free key at once are decided by
 *   the unique index; the inserts go in key order, so that they wait for each other in one order
 *   only (FM-31).
 * - Jobs without a key are inserted apart: `on conflict` inserts a row on approval and approves it
 *   in a second WAL record, which cost each of them 48 B and a tenth of the claim's time. They are
 *   returned as they were read: RETURNING would copy each once more.
 * - In `next` the fields of one length come first, so that a condition on one of them need not step
 *   over the payload.
 * - Jobs are deleted by id, never by ctid: a row that moved since it was read would stay behind, in
 *   both tables.
 */
export const claimReadyJobs = statement<ClaimParameters, ClaimRow>(
  "claim-jobs",
  claimParameters,
  `with alive as materialized (
     select id from hark.workers
      where id = $3 and dead_at is null and expires_at > clock_timestamp() for key share),
   next as materialized (
     select id, priority, attempt, max_attempts, crash_count, run_at, created_at, key, queue, type, payload, unique_key from hark.jobs
      where queue = $1 and state = 'ready' and type = any ($5::text[]) and exists (select from alive)
        and priority >= $6 and id > $7
        and (key is null or not exists (
          select from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key))
      order by priority desc, id limit $2
        for update skip locked),
   keyed as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid
       from next where key is not null order by key, priority desc, id
     on conflict (queue, key) where key is not null do nothing
     returning id, type, payload, priority, attempt, max_attempts, crash_count, key),
   unkeyed as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid
       from next where key is null),
   gone as (
     delete from hark.jobs
      where id = any (array(select id from next where key is null union all select id from keyed))),
   blocked as (
     select key from next where key is not null and not exists (select from keyed where keyed.id = next.id)
     union
     select held.key from hark.running_jobs held, lateral (
       select from hark.jobs where jobs.queue = held.queue and jobs.key = held.key and jobs.state = 'ready' limit 1) waiting
      where held.queue = $1 and held.key is not null)
   select 'job' as kind, id, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key
     from next where key is null
   union all
   select 'job', id, type, payload, priority, attempt, max_attempts, crash_count, key from keyed
   union all
   select 'blocked', null, null, null, null, null, null, null, key from blocked`,
  (row) => row as ClaimRow,
);
