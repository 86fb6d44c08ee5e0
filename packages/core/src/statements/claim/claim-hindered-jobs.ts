import { statement } from "../statement.ts";
import { type ClaimParameters, claimParameters, type ClaimRow } from "./claim-request.ts";

/**
 * Claims as {@link claimContendedJobs} does, but looks at the first 2,000 ready jobs only: others
 * of few keys stand in the way, and a claim that walked over 50,000 of them took 140 ms. Those of
 * the keys that it claims are parked behind what it claims, in the same commit. The keys of those
 * that run are returned as blocked, for their jobs to be parked. A row of the kind "more" says that
 * there may be jobs behind the 2,000.
 *
 * - It locks what it takes by id, so that claims of several workers compete for the same jobs here.
 * - The keys that run are read once. A hash table tells which jobs they block; `is true` keeps the
 *   planner from making a join of the like, whose time grows with the product.
 */
export const claimHinderedJobs = statement<ClaimParameters, ClaimRow>(
  "claim-hindered-jobs",
  claimParameters,
  `with alive as materialized (
     select id from hark.workers
      where id = $3 and dead_at is null and expires_at > clock_timestamp() for key share),
   held as materialized (select key from hark.running_jobs where queue = $1 and key is not null),
   first as materialized (
     select id, key, key in (select key from held) as is_blocked from hark.jobs
      where queue = $1 and state = 'ready' and type = any ($5::text[]) and priority >= $6 and id > $7
      order by priority desc, id limit 2000),
   next as materialized (
     select id, priority, attempt, max_attempts, crash_count, run_at, created_at, key, queue, type, payload, unique_key from hark.jobs
      where id = any (array(select id from first where is_blocked is not true)) and state = 'ready' and exists (select from alive)
      order by priority desc, id limit $2
        for update skip locked),
   keyed as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token, hands_off)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid, true
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
   behind as materialized (
     select id from hark.jobs
      where id = any (array(
              select id from first where (key in (select key from keyed)) is true
              except all select id from keyed)) and state = 'ready'
      order by id for update skip locked),
   parked as (update hark.jobs set state = 'parked' where id = any (array(select id from behind))),
   blocked as (select distinct key from first where is_blocked)
   select 'job' as kind, id, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key, false as hands_off
     from next where key is null
   union all
   select 'job', id, type, payload, priority, attempt, max_attempts, crash_count, key, hands_off from keyed
   union all
   select 'blocked', null, null, null, null, null, null, null, key, null from blocked
   union all
   select 'others', null, null, null, null, null, null, null, null, null
    where exists (select from hark.workers where dead_at is null and expires_at > clock_timestamp() and id <> $3)
   union all
   select 'more', null, null, null, null, null, null, null, null, null where (select count(*) from first) = 2000`,
  (row) => row as ClaimRow,
);
