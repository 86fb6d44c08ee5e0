import type { DeadLetterJob } from "../dead-letters.ts";

/** A dead letter as the HTTP API lists it: with its place in the list, and only the first line of its error. */
export interface DeadLetter extends Omit<DeadLetterJob, "failed_at" | "created_at"> {
  /** Its place in the list, oldest first: what requeue takes. */
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
    error: firstLine(job.error),
    failed_at: job.failed_at.toISOString(),
    created_at: job.created_at.toISOString(),
  };
}

/**
 * The first line, at most 500 characters, with everything escaped that a terminal or a log would obey: control characters, and
 * the marks that turn the direction of text (SEC-25).
 */
export function firstLine(error: string): string {
  const line = /^\s*([^\r\n\u2028\u2029]*)/.exec(error)?.[1] ?? "";
  const cut = line.length > 500 ? `${line.slice(0, 500).toWellFormed()}...` : line;
  return cut.replace(
    /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
