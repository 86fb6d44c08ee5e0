import { withJsonIds } from "../../json-ids.ts";
import { asId, statement } from "../statement.ts";

export interface RequeuedJob {
  readonly id: bigint;
  readonly type: string;
  /** False if another unfinished job holds its unique key: it stays a dead letter. */
  readonly isRequeued: boolean;
}

/**
 * Makes dead letters ready again, with all their attempts before them, and returns what became of
 * each that was found. A unique key whose job was deleted by hand is taken over (FM-62). Whether it
 * was is asked of this statement's snapshot, so a key that somebody took since is left alone.
 */
export const requeueJobs = statement<{ ids: readonly bigint[] }, RequeuedJob>(
  "requeue-jobs",
  ["ids"],
  `with found as materialized (
     select * from hark.dead_jobs where id = any ($1::bigint[]) order by id for update),
   keyed as (
     insert into hark.unique_keys (queue, unique_key, job_id)
     select distinct on (queue, unique_key) queue, unique_key, id from found where unique_key is not null
      order by queue, unique_key, id
     on conflict (queue, unique_key) do update set job_id = excluded.job_id
      where exists (select from hark.unique_keys seen
                     where seen.queue = unique_keys.queue and seen.unique_key = unique_keys.unique_key
                       and seen.job_id = unique_keys.job_id)
        and not exists (select from hark.jobs where id = unique_keys.job_id)
        and not exists (select from hark.running_jobs where id = unique_keys.job_id)
     returning job_id),
   taken as materialized (
     select * from found where unique_key is null or id in (select job_id from keyed)),
   gone as (delete from hark.dead_jobs where id = any (array(select id from taken))),
   back as (
     insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                            run_at, created_at, state)
     select id, queue, type, payload, priority, 0, max_attempts, 0, key, unique_key,
            clock_timestamp(), created_at, 'ready' from taken order by id)
   select id, type, id in (select id from taken) as is_requeued from found`,
  (row) => withJsonIds({ id: asId(row.id), type: row.type as string, isRequeued: row.is_requeued as boolean }),
);
