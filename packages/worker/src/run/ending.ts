import {
  InvalidPayloadError,
  JobCancelledError,
  JobTimeoutError,
  LeaseLostError,
  PayloadUnreadableError,
  RetryAfterError,
  SnoozeError,
  UnrecoverableError,
  WorkerStoppingError,
} from "@hark/core";
import type { Ending } from "@hark/core/internal";

/**
 * Of an attempt whose claim holds no more, or that never began: the job goes back, attempt and all.
 */
export const interrupted: Ending = { kind: "interrupted" };

/** What a handler of Hark's own throws to end its attempt in a way that no public error says. */
export class AttemptEnd extends Error {
  readonly ending: Ending;

  constructor(ending: Ending) {
    super(`the attempt ends as ${ending.kind}`);
    this.ending = ending;
  }
}

/**
 * How an attempt ended whose handler threw `error`; `reason` is why its signal was aborted before,
 * if it was.
 */
export function endingOf(error: unknown, reason: unknown): Ending {
  // A handler ends in many ways once its signal is aborted: the reason for that is the truth.
  if (reason instanceof JobCancelledError) return { kind: "cancelled" };
  if (reason instanceof WorkerStoppingError || reason instanceof LeaseLostError) return interrupted;
  if (reason instanceof JobTimeoutError) return { kind: "timeout", error: reason };
  if (error instanceof AttemptEnd) return error.ending;
  if (error instanceof SnoozeError) return { kind: "snoozed", delayMs: error.delayMs };
  if (error instanceof RetryAfterError) return { kind: "retry_after", delayMs: error.delayMs, error };
  if (error instanceof UnrecoverableError) return { kind: "fatal", reason: "unrecoverable", error };
  return { kind: "error", error };
}

/** How an attempt ended whose payload could not be opened or parsed. */
export function endingOfPayload(error: unknown): Ending {
  if (error instanceof PayloadUnreadableError) return { kind: "fatal", reason: "payload_unreadable", error };
  if (error instanceof InvalidPayloadError) return { kind: "fatal", reason: "invalid_payload", error };
  return { kind: "error", error };
}
