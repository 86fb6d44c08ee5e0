import type { DeadLetterJob } from "../dead-letters.ts";

/**
 * A dead letter in the HTTP API. It has its place in the list, and only the message of its error.
 */
export interface DeadLetter extends Omit<DeadLetterJob, "error" | "failed_at" | "created_at"> {
  /** Its place in the list, oldest first. The requeue endpoint accepts it. */
  readonly index: number;
  /** ISO 8601, in UTC. */
  readonly failed_at: string;
  readonly created_at: string;
}

export function deadLetter(job: DeadLetterJob, index: number): DeadLetter {
  const { error: _error, ...shown } = job;
  return { index, ...shown, failed_at: job.failed_at.toISOString(), created_at: job.created_at.toISOString() };
}
