import { statement } from "../statement.ts";

/**
 * Takes up to `limit` jobs back from workers that are certified dead or unknown; each is an attempt
 * with the ending `crashed`, decided as in outcome.ts: 3 is its crashBudget. Takes the jobs of
 * every dead owner, so a crash between certificate and rescue loses nothing. With `ids` only these,
 * for a rescuer that has to go row by row. Returns how many it took.
 */
export const rescueJobs = statement<
  { readonly limit: number; readonly ids?: readonly bigint[] | undefined },
  { rescued: number }
>(
  "rescue-jobs",
  ["limit", "ids"],
  `with orphaned as materialized (
     select id from hark.running_jobs job
      where not exists (select from hark.workers where workers.id = job.worker and dead_at is null)
        and ($2::bigint[] is null or id = any ($2))
      order by id limit $1 for update skip locked),
   taken as (
     delete from hark.running_jobs where id = any (array(select id from orphaned))
     returning *, crash_count + 1 as crashes,
               attempt >= max_attempts or crash_count + 1 >= 3 as is_dead),
   back as (
     insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                            run_at, created_at, state)
     select id, queue, type, payload, priority, attempt, max_attempts, crashes, key, unique_key,
            clock_timestamp(), created_at, 'ready' from taken where not is_dead order by id),
   dead as (
     insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                 run_at, created_at, reason, error, started_at, finished_at)
     select id, queue, type, payload, priority, attempt, max_attempts, crashes, key, unique_key,
            run_at, created_at, 'worker_died', 'its worker died while it ran', started_at, clock_timestamp()
       from taken where is_dead),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, worker, token, started_at, finished_at, retry_at)
     select id, queue, type, attempt, 'crashed', worker, token, started_at, clock_timestamp(),
            case when not is_dead then clock_timestamp() end from taken),
   counted as (insert into hark.stats (queue, dead) select queue, count(*) from taken where is_dead group by queue)
   select count(*)::int as rescued from taken`,
  (row) => ({ rescued: row.rescued as number }),
);
