import { statement } from "../statement.ts";
import { type ParametersByType, parametersByType } from "./claim-contended-jobs-by-type.ts";
import type { ClaimRow } from "./claim-request.ts";

/**
 * Claims plain jobs as {@link claimPlainJobs} does, but by types: see {@link
 * claimContendedJobsByType}.
 */
export const claimPlainJobsByType = statement<ParametersByType, ClaimRow>(
  "claim-plain-jobs-by-type",
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
          order by priority desc, id limit 1) head
      where exists (select from alive)
      order by head.priority desc, head.id),
   second as materialized (select priority from heads order by priority desc offset 1 limit 1),
   next as materialized (
     select job.* from heads, lateral (
       select id, key, max_attempts from hark.jobs
        where hashtext(type || queue) = hashtext(heads.type || $1) and type collate "C" = heads.type and queue collate "C" = $1
          and state = 'ready' and priority between heads.least and $8 and id > heads.after
          and priority >= coalesce((select priority from second), heads.least)
        order by priority desc, id limit $2
          for update skip locked) job
      limit $2),
   found as materialized (
     select not exists (select from next where key is not null or max_attempts = 1) as are_plain,
            set_config('synchronous_commit', 'off', true)),
   gone as (
     delete from hark.jobs where id = any (array(select id from next where (select are_plain from found)))
     returning *),
   moved as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid
       from gone)
   select 'job' as kind, id, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key, false as hands_off from gone
   union all
   select 'not plain', null, null, null, null, null, null, null, null, null where not (select are_plain from found)`,
  (row) => row as ClaimRow,
);
