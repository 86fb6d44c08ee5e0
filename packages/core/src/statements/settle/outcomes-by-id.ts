import type { Claim } from "./complete-jobs.ts";

/** Jobs and how each ended, as the parameters of retry-jobs.ts and bury-jobs.ts. */
export interface OutcomesById {
  /** An array literal, in order (FM-31). */
  readonly ids: string;
  /** A JSON object by id: the token, and what became of the job. */
  readonly outcomes: string;
}

/**
 * The parameters for these jobs, no two of which may have the same id. `told` picks what the
 * statement reads of a job's outcome.
 */
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
