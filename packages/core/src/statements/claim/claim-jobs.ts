import { statement } from "../statement.ts";
import { type ClaimParameters, claimParameters, type ClaimRow } from "./claim-request.ts";

/**
 * Moves up to $2 of the most urgent ready jobs of queue $1 to worker $3, under token $4; higher
 * priority first, then older. Jobs whose key is running stay. If fewer than $2 are left, the keys
 * that are running while jobs of theirs are ready are returned as blocked. A dead worker claims
 * nothing: its row is locked, so that nobody certifies its death before the claim is committed.
 *
 * - The order, the limit and the lock stand in a materialized CTE, which runs once whatever the
 *   plan (FM-26).
 * - Running keys are left out by what the snapshot shows, so a claim never waits for a transaction
 *   that is still completing one of them. Each is looked up in the index: a scalar subquery is
 *   never turned into a scan of the whole table, as `exists` is.
 * - Of a key it takes the most urgent. If another claim takes the key at the same moment, the
 *   unique index rejects the later of the two; see {@link isKeyContended}. The inserts go in key
 *   order, so that they wait for each other in one order only (FM-31).
 * - A job hands its key on at its end if others of it are parked: see hark.hand_off.
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
     select id, key, priority from hark.jobs
      where queue = $1 and state = 'ready' and type = any ($5::text[]) and exists (select from alive)
        and priority >= $6 and id > $7
        and (key is null or (
          select true from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key limit 1) is null)
      order by priority desc, id limit $2
        for update skip locked),
   first_of_key as materialized (
     select distinct on (key) id from next where key is not null order by key, priority desc, id),
   gone as (
     delete from hark.jobs
      where id = any (array(select id from next where key is null union all select id from first_of_key))
     returning *),
   moved as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token, hands_off)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid, key is not null and (
              select true from hark.jobs parked
               where parked.queue = gone.queue and parked.key = gone.key and parked.state = 'parked' limit 1) is not null
       from gone order by key
     returning id, type, payload, priority, attempt, max_attempts, crash_count, key, hands_off),
   blocked as (
     select key from next
      where (select count(*) from first_of_key) < (select count(key) from next)
        and key is not null and id <> all (array(select id from first_of_key))
     union
     select held.key from hark.running_jobs held, lateral (
       select from hark.jobs where jobs.queue = held.queue and jobs.key = held.key and jobs.state = 'ready' limit 1) waiting
      where held.queue = $1 and held.key is not null and (select count(*) from next) < $2)
   select 'job' as kind, id, type, payload, priority, attempt, max_attempts, crash_count, key, hands_off from moved
   union all
   select 'blocked', null, null, null, null, null, null, null, key, null from blocked
   union all
   select 'others', null, null, null, null, null, null, null, null, null
    where exists (select from hark.workers where dead_at is null and expires_at > clock_timestamp() and id <> $3)`,
  (row) => row as ClaimRow,
);
