import { asId, statement } from "../statement.ts";

/** A claimed job's identity: what every write for it must name. */
export interface Claim {
  readonly id: bigint;
  readonly token: string;
}

/**
 * Jobs that succeeded, as the parameters of {@link completeJobs} and of a claim that also settles.
 * See completionsOf().
 */
export interface Completions {
  /**
   * Array literals: pg would build and escape them element by element. In order and without
   * repetition, for width_bucket.
   */
  readonly ids: string;
  readonly tokens: string;
  /** A JSON object of the results by id, or null if no job had one. */
  readonly results: string | null;
}

/**
 * Settles jobs that succeeded and returns the ids it moved; a claim that no longer holds is not
 * among them. A success after failed tries goes into the ledger too.
 *
 * - It names only id and token of a running job, or the planner takes a wrong index, and joins
 *   nothing: planned while the table was empty, a join with the list read the whole list for every
 *   row (52 to 85 ms a batch, not 5).
 * - width_bucket finds a row's place in the ordered ids by binary search.
 * - `settled` has the fields of one length first, for readers that need the attempt alone.
 */
export const completeJobs = statement<Completions, { id: bigint }>(
  "complete-jobs",
  ["ids", "tokens", "results"],
  `with settled as (
     delete from hark.running_jobs
      where id = any ($1::bigint[]) and token = ($2::uuid[])[width_bucket(id, $1::bigint[])]
     returning id, attempt, priority, max_attempts, crash_count, run_at, created_at, started_at, worker, token,
               queue, type, payload, key, unique_key),
   finished as (
     insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                     run_at, created_at, state, result, started_at, finished_at, worker)
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
            run_at, created_at, 'completed', case when $3::jsonb is not null then $3::jsonb -> id::text end,
            started_at, clock_timestamp(), worker from settled),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, worker, token, started_at, finished_at)
     select id, queue, type, attempt, 'completed', worker, token, started_at, clock_timestamp()
       from settled where attempt > 1),
   counted as (insert into hark.stats (queue, completed) select queue, count(*) from settled group by queue)
   select id from settled`,
  (row) => ({ id: asId(row.id) }),
);

/**
 * The parameters for these jobs, in id order, so that flushes that share jobs wait for each other
 * in one order only (FM-31); each result is serialised once. No two jobs may have the same id.
 */
export function completionsOf(jobs: readonly (Claim & { readonly resultJson: string | null })[]): Completions {
  const ordered = jobs.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  const results = ordered.flatMap(({ id, resultJson }) => (resultJson === null ? [] : [`"${id}":${resultJson}`]));
  return {
    ids: `{${ordered.map(({ id }) => id).join(",")}}`,
    tokens: `{${ordered.map(({ token }) => token).join(",")}}`,
    results: results.length > 0 ? `{${results.join(",")}}` : null,
  };
}
