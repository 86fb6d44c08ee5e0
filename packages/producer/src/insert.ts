import type { Queryable } from "@hark/core";
import { InvalidPayloadError, isBeyondEncoding, statements } from "@hark/core/internal";

/**
 * Inserts jobs in one statement. Returns the results in the order of the jobs.
 * @throws InvalidPayloadError if the database's encoding lacks a character
 */
export function insert(queryable: Queryable, jobs: statements.NewJob[]): Promise<statements.InsertedJob[]> {
  return statements.insertJobs(queryable, { jobs: statements.jobsJson(jobs) }).catch((error: unknown) => {
    throw refusalOf(error, jobs);
  });
}

/** The error, or what the caller of these jobs can do about it. */
export function refusalOf(error: unknown, jobs: readonly statements.NewJob[]): unknown {
  if (!isBeyondEncoding(error)) return error;
  const message =
    "has a character that the encoding of the database lacks: leave it out, or move to a database of UTF8";
  return new InvalidPayloadError(jobs.length === 1 ? jobs[0]!.type : `one of ${jobs.length} jobs`, [
    { path: [], message },
  ]);
}
