import { statement } from "../statement.ts";
import type { ClaimParameters, ClaimRow } from "./claim-request.ts";

/** As {@link ClaimParameters}, with the place to start from for each type. */
export interface ParametersByType extends Omit<ClaimParameters, "leastPriority" | "afterId"> {
  readonly leastPriorities: readonly number[];
  readonly afterIds: readonly bigint[];
  /** Only jobs with at most this priority. */
  readonly mostPriority: number;
}

/** $1 to $8. No type may stand in $5 twice: its jobs would be claimed twice. */
export const parametersByType = [
  "queue",
  "limit",
  "worker",
  "token",
  "types",
  "leastPriorities",
  "afterIds",
  "mostPriority",
] as const;

/**
 * Claims as {@link claimContendedJobs} does, but by types. Other claims walk the queue, and step
 * over each job in front whose type the worker does not run. This one looks at the most urgent job
 * of each type, and takes the types in this order. So its cost does not grow with what the worker
 * may not take, but with the number of its types.
 *
 * - It takes nothing below the priority of the second type's most urgent job. Then no job is taken
 *   while a more urgent one of another type is ready. Jobs of one priority are in the order of
 *   their age within each type only.
 * - Rows are locked as they are read, and the outer limit ends the scan. So none is locked that is
 *   not taken.
 * - If others hold all of those rows, it takes nothing though more may be ready: see
 *   {@link urgencyByType}.
 * - The collation "C" keeps the index jobs_ready out of this plan, and the hash keeps jobs_by_type
 *   out of the plans of other statements, whatever the statistics say.
 */
export const claimContendedJobsByType = statement<ParametersByType, ClaimRow>(
  "claim-contended-jobs-by-type",
  parametersByType,
  `with alive as materialized (
     select id from hark.workers
      where id = $3 and dead_at is null and expires_at > clock_timestamp() for key share),
   heads as materialized (
     select wanted.type, wanted.least, wanted.after, head.priority
       from unnest($5::text[], $6::integer[], $7::bigint[]) wanted (type, least, after), lateral (
         select priority, id from hark.jobs
          where hashtext(type || queue) = hashtext(wanted.type || $1) and type collate "C" = wanted.type and queue collate "C" = $1
            and state = 'ready' and priority between wanted.least and $8 and id > wanted.after
            and (key is null or (
              select true from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key limit 1) is null)
          order by priority desc, id limit 1) head
      where exists (select from alive)
      order by head.priority desc, head.id),
   second as materialized (select priority from heads order by priority desc offset 1 limit 1),
   next as materialized (
     select job.* from heads, lateral (
       select id, priority, attempt, max_attempts, crash_count, run_at, created_at, key, queue, type, payload, unique_key from hark.jobs
        where hashtext(type || queue) = hashtext(heads.type || $1) and type collate "C" = heads.type and queue collate "C" = $1
          and state = 'ready' and priority between heads.least and $8 and id > heads.after
          and priority >= coalesce((select priority from second), heads.least)
          and (key is null or (
            select true from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key limit 1) is null)
        order by priority desc, id limit $2
          for update skip locked) job
      limit $2),
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
