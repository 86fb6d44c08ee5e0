import { crashBudget } from "../outcome.ts";
import type { Claim } from "./complete-jobs.ts";
import { asId, type RawRow, statement } from "./statement.ts";

/** Whether a running job's owner is certified dead, or unknown. */
export const isOrphaned = `not exists (select from hark.workers where workers.id = job.worker and dead_at is null)`;

const orphanedRows = `hark.running_jobs job where ${isOrphaned}`;

const rescued = (row: RawRow) => ({ rescued: row.rescued as number });

const rescue = (only: string) => `with orphaned as materialized (
     select id from ${orphanedRows} ${only}
      order by id limit $1 for update skip locked),
   taken as (
     delete from hark.running_jobs where id = any (array(select id from orphaned))
     returning *, crash_count + 1 as crashes,
               attempt >= max_attempts or crash_count + 1 >= ${crashBudget} as is_dead),
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
   select count(*)::int as rescued from taken`;

/**
 * Takes up to `limit` jobs back from workers that are certified dead or unknown; each is an attempt with the ending
 * `crashed`, decided as in outcome.ts. Takes the jobs of every dead owner, so a crash between certificate and rescue loses
 * nothing. Answers how many it took.
 */
export const rescueJobs = statement<{ limit: number }, { rescued: number }>(
  "rescue-jobs",
  ["limit"],
  rescue(""),
  rescued,
);

/** The same for some jobs by id, whatever became of them: those that are no orphans any more are left alone. */
export const rescueJobsById = statement<{ limit: number; ids: readonly bigint[] }, { rescued: number }>(
  "rescue-jobs-by-id",
  ["limit", "ids"],
  rescue("and job.id = any ($2::bigint[])"),
  rescued,
);

/**
 * Up to `limit` jobs of dead workers in the order in which they are rescued, leaving out those of `except`: for a rescuer that has
 * to go row by row.
 */
export const listOrphans = statement<{ limit: number; except: readonly bigint[] }, Claim>(
  "list-orphans",
  ["limit", "except"],
  `select id, token from ${orphanedRows} and id not in (select unnest($2::bigint[])) order by id limit $1`,
  (row) => ({ id: asId(row.id), token: row.token as string }),
);
