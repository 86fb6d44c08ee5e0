import { escapeControls, firstLine } from "@hark/core/internal";
import type { DeadLetterJob } from "../dead-letters.ts";

/**
 * A dead letter in the HTTP API. It has its place in the list, and only the first line of its
 * error.
 */
export interface DeadLetter extends Omit<DeadLetterJob, "failed_at" | "created_at"> {
  /** Its place in the list, oldest first. The requeue endpoint accepts it. */
  readonly index: number;
  /** The first line of the last error. */
  readonly error: string;
  /** ISO 8601, in UTC. */
  readonly failed_at: string;
  readonly created_at: string;
}

export function deadLetter(job: DeadLetterJob, index: number): DeadLetter {
  return {
    index,
    ...job,
    error: shownError(job.error),
    failed_at: job.failed_at.toISOString(),
    created_at: job.created_at.toISOString(),
  };
}

/**
 * Returns the first line of an error, at most 500 characters, with control characters escaped
 * (SEC-25).
 */
export function shownError(error: string): string {
  const line = firstLine(error);
  return escapeControls(line.length > 500 ? `${line.slice(0, 500).toWellFormed()}...` : line);
}
