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
 * each that was found.
 */
export const requeueJobs = statement<{ ids: readonly bigint[] }, RequeuedJob>(
  "requeue-jobs",
  ["ids"],
  `with found as materialized (
     select * from hark.dead_jobs where id = any ($1::bigint[]) order by id for update),
   keyed as (
     insert into hark.unique_keys (queue, unique_key, job_id)
     select queue, unique_key, id from found where unique_key is not null order by queue, unique_key
     on conflict do nothing returning job_id),
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
