import type { Claim } from "./complete-jobs.ts";

/** Jobs and how each ended, as the parameters of {@link settledByOutcome}. */
export interface OutcomesById {
  /** An array literal, in order (FM-31). */
  readonly ids: string;
  /** A JSON object by id: the token, and what became of the job. */
  readonly outcomes: string;
}

/**
 * The CTE that takes jobs whose claim still holds out of running_jobs, each with its `outcome`. Looked up by id instead of joined:
 * planned while the table was empty, a join would read the whole list for every row.
 */
export const settledByOutcome = `settled as (
     delete from hark.running_jobs
      where id = any ($1::bigint[]) and token = ($2::jsonb -> id::text ->> 'token')::uuid
     returning *, $2::jsonb -> id::text as outcome)`;

/** The parameters for these jobs, of which no two may have the same id; `told` picks what the statement reads of a job's outcome. */
export function outcomesById<Job extends Claim>(
  jobs: readonly Job[],
  told: (job: Job) => Record<string, unknown>,
): OutcomesById {
  const ordered = jobs.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  return {
    ids: `{${ordered.map(({ id }) => id).join(",")}}`,
    outcomes: JSON.stringify(Object.fromEntries(ordered.map((job) => [job.id, { token: job.token, ...told(job) }]))),
  };
}
