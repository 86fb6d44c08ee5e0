import { statement } from "../statement.ts";
import { type ClaimParameters, claimParameters, type ClaimRow } from "./claim-request.ts";

/**
 * Claims as {@link claimReadyJobs} does, and steps over keys that another claim takes at the same
 * moment, where that one fails. `on conflict` does so: it inserts a row on approval and approves it
 * in a second WAL record, which costs 5 us a job. So jobs without a key are inserted apart. They
 * are returned as they were read: RETURNING would copy each once more.
 */
export const claimContendedJobs = statement<ClaimParameters, ClaimRow>(
  "claim-contended-jobs",
  claimParameters,
  `with alive as materialized (
     select id from hark.workers
      where id = $3 and dead_at is null and expires_at > clock_timestamp() for key share),
   next as materialized (
     select id, priority, attempt, max_attempts, crash_count, run_at, created_at, key, queue, type, payload, unique_key from hark.jobs
      where queue = $1 and state = 'ready' and type = any ($5::text[]) and exists (select from alive)
        and priority >= $6 and id > $7
        and (key is null or (
          select true from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key limit 1) is null)
      order by priority desc, id limit $2
        for update skip locked),
   keyed as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token, hands_off)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid, (
              select true from hark.jobs parked
               where parked.queue = next.queue and parked.key = next.key and parked.state = 'parked' limit 1) is not null
       from next where key is not null order by key, priority desc, id
     on conflict (queue, key) where key is not null do nothing
     returning id, type, payload, priority, attempt, max_attempts, crash_count, key, hands_off),
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
     select key from next
      where (select count(*) from keyed) < (select count(key) from next)
        and key is not null and id <> all (array(select id from keyed))
     union
     select held.key from hark.running_jobs held, lateral (
       select from hark.jobs where jobs.queue = held.queue and jobs.key = held.key and jobs.state = 'ready' limit 1) waiting
      where held.queue = $1 and held.key is not null and (select count(*) from next) < $2)
   select 'job' as kind, id, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key, false as hands_off
     from next where key is null
   union all
   select 'job', id, type, payload, priority, attempt, max_attempts, crash_count, key, hands_off from keyed
   union all
   select 'blocked', null, null, null, null, null, null, null, key, null from blocked
   union all
   select 'others', null, null, null, null, null, null, null, null, null
    where exists (select from hark.workers where dead_at is null and expires_at > clock_timestamp() and id <> $3)`,
  (row) => row as ClaimRow,
);
