import {
  JobCancelledError,
  JobTimeoutError,
  LeaseLostError,
  type RetryAfterError,
  type SnoozeError,
  WorkerStoppingError,
} from "@hark/core";
import { type Ending, isHarkError } from "@hark/core/internal";

/**
 * The ending of an attempt whose claim no longer holds, or that never began. The job goes back, and
 * the attempt does not count.
 */
export const interrupted: Ending = { kind: "interrupted" };

/** Thrown by Hark's own handlers to end an attempt in a way that has no public error. */
export class AttemptEnd extends Error {
  readonly ending: Ending;

  constructor(ending: Ending) {
    super(`the attempt ends as ${ending.kind}`);
    this.ending = ending;
  }
}

/**
 * Returns the ending of an attempt whose handler threw `error`. `reason` says why its signal was
 * aborted before, if it was.
 */
export function endingOf(error: unknown, reason: unknown): Ending {
  // Once the signal is aborted, a handler may throw anything. The reason of the abort decides.
  if (reason instanceof JobCancelledError) return { kind: "cancelled" };
  if (reason instanceof WorkerStoppingError || reason instanceof LeaseLostError) return interrupted;
  if (reason instanceof JobTimeoutError) return { kind: "timeout", error: reason };
  if (error instanceof AttemptEnd) return error.ending;
  // By their codes: handlers may come from a bundle, with a copy of these classes in it.
  if (isHarkError(error, "SNOOZED")) return { kind: "snoozed", delayMs: (error as SnoozeError).delayMs };
  if (isHarkError(error, "RETRY_AFTER"))
    return { kind: "retry_after", delayMs: (error as RetryAfterError).delayMs, error };
  if (isHarkError(error, "UNRECOVERABLE")) return { kind: "fatal", reason: "unrecoverable", error };
  return { kind: "error", error };
}

/** Returns the ending of an attempt whose payload could not be decrypted or parsed. */
export function endingOfPayload(error: unknown): Ending {
  if (isHarkError(error, "PAYLOAD_UNREADABLE")) return { kind: "fatal", reason: "payload_unreadable", error };
  if (isHarkError(error, "INVALID_PAYLOAD")) return { kind: "fatal", reason: "invalid_payload", error };
  return { kind: "error", error };
}
