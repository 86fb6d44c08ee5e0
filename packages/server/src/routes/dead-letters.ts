import type { DeadJob } from "@hark/core";

/** A dead letter in the mission's shape. */
export interface DeadLetter {
  /** Its place in the list, oldest first: what requeue takes. */
  readonly index: number;
  readonly id: string;
  readonly type: string;
  /** Null for a job that was not enqueued in the mission's shape. */
  readonly target_url: string | null;
  readonly priority: number;
  readonly metadata: Record<string, unknown>;
  readonly attempts: number;
  readonly max_attempts: number;
  readonly reason: DeadJob["reason"];
  /** The first line of the last error. */
  readonly error: string;
  readonly failed_at: string;
  readonly created_at: string;
}

/** The most that are listed in one answer. */
export const mostListed = 200;

export function deadLetter(job: DeadJob, index: number): DeadLetter {
  const payload = isObject(job.payload) ? job.payload : {};
  return {
    index,
    id: String(job.id),
    type: job.type,
    target_url: typeof payload.target_url === "string" ? payload.target_url : null,
    priority: job.priority,
    metadata: isObject(payload.metadata) ? payload.metadata : {},
    attempts: job.attempt,
    max_attempts: job.maxAttempts,
    reason: job.reason,
    error: firstLine(job.error),
    failed_at: job.finishedAt.toISOString(),
    created_at: job.createdAt.toISOString(),
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
