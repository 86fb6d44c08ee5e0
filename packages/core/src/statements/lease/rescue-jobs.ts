import { statement } from "../statement.ts";

/**
 * Takes up to `limit` jobs back from workers that are certified dead or unknown. Takes the jobs of
 * every dead owner, so a crash between certificate and rescue loses nothing. With `ids` only these,
 * for a rescuer that has to go row by row. Returns how many it took.
 *
 * A job that had begun is an attempt with the ending `crashed`, decided as in outcome.ts: 3 is its
 * crashBudget. One that was only claimed ahead goes back as it was, `interrupted`. Which had begun
 * (docs/decisions/0038):
 *
 * - A job that this crash may bury says so itself, by its mark (begin-jobs.ts).
 * - Others have no mark. They begin in the order of their claims, and no more run at once than the
 *   queue has slots. So those after as many are not counted as tried. But some before them may have
 *   ended without being settled yet, so of the others the nearer half get a crash: it harms none by
 *   itself, and has them marked from then on.
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
   gone as (delete from hark.running_jobs where id = any (array(select id from orphaned)) returning *),
   ranked as (
     select *, attempt >= max_attempts or crash_count > 0 as is_marked, row_number() over claimed as place,
            count(*) over (partition by worker, queue) as claims,
            (select nullif((queues ->> gone.queue)::int, 0) from hark.workers where workers.id = gone.worker) as slots
       from gone window claimed as (partition by worker, queue order by started_at, id)),
   judged as (
     select *, case when is_marked then begun else place <= coalesce(slots, claims) end as has_begun,
            case when is_marked then begun else place <= coalesce((slots + claims) / 2, claims) end as is_suspect
       from ranked),
   taken as (
     select *, attempt - (not has_begun)::int as tried, crash_count + is_suspect::int as crashes,
            has_begun and (attempt >= max_attempts or crash_count + 1 >= 3) as is_dead from judged),
   back as (
     insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                            run_at, created_at, state)
     select id, queue, type, payload, priority, tried, max_attempts, crashes, key, unique_key,
            clock_timestamp(), created_at, 'ready' from taken where not is_dead order by id),
   dead as (
     insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                 run_at, created_at, reason, error, started_at, finished_at)
     select id, queue, type, payload, priority, attempt, max_attempts, crashes, key, unique_key,
            run_at, created_at, 'worker_died', 'its worker died while it ran', started_at, clock_timestamp()
       from taken where is_dead),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, worker, token, started_at, finished_at, retry_at)
     select id, queue, type, attempt, case when has_begun then 'crashed' else 'interrupted' end, worker, token, started_at,
            clock_timestamp(),
            case when not is_dead then clock_timestamp() end from taken),
   counted as (insert into hark.stats (queue, dead) select queue, count(*) from taken where is_dead group by queue)
   select count(*)::int as rescued from taken`,
  (row) => ({ rescued: row.rescued as number }),
);
