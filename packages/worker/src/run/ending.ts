import { type Ending, isHarkError, longestDelayMs } from "@hark/core/internal";

/**
 * The ending of an attempt whose claim no longer holds, or that never began. The job goes back, and
 * the attempt does not count.
 */
export const interrupted: Ending = { kind: "interrupted" };

/** Thrown by Hark's own handlers to end an attempt in a way that has no public error. */
export class AttemptEnd extends Error {
  readonly #ending: Ending;

  constructor(ending: Ending) {
    super(`the attempt ends as ${ending.kind}`);
    this.#ending = ending;
  }

  get ending(): Ending {
    return this.#ending;
  }

  /** The ending that a thrown value carries, if it is one of these. Never throws. */
  static endingOf(thrown: unknown): Ending | undefined {
    return typeof thrown === "object" && thrown !== null && #ending in thrown ? thrown.#ending : undefined;
  }
}

/**
 * Returns the ending of an attempt whose handler threw `error`. `reason` says why its signal was
 * aborted before, if it was. Never throws, whatever was thrown: what is not known is an attempt
 * that failed (FM-70). Errors of Hark are known by their codes, since handlers may come from a
 * bundle, with a copy of the classes in it.
 */
export function endingOf(error: unknown, reason: unknown): Ending {
  // Once the signal is aborted, a handler may throw anything. The reason of the abort decides.
  if (isHarkError(reason, "JOB_CANCELLED")) return { kind: "cancelled" };
  if (isHarkError(reason, "WORKER_STOPPING") || isHarkError(reason, "LEASE_LOST")) return interrupted;
  if (isHarkError(reason, "JOB_TIMEOUT")) return { kind: "timeout", error: reason };
  const ending = AttemptEnd.endingOf(error);
  if (ending) return ending;
  if (isHarkError(error, "SNOOZED")) return delayed(error, (delayMs) => ({ kind: "snoozed", delayMs }));
  if (isHarkError(error, "RETRY_AFTER")) return delayed(error, (delayMs) => ({ kind: "retry_after", delayMs, error }));
  if (isHarkError(error, "UNRECOVERABLE")) return { kind: "fatal", reason: "unrecoverable", error };
  return { kind: "error", error };
}

/**
 * The ending with the delay that an error asks for. A delay that is none, such as NaN, -1 or "5s",
 * makes it an attempt that failed, and the message says so.
 */
function delayed(error: unknown, endingWith: (delayMs: number) => Ending): Ending {
  let delay: unknown;
  try {
    delay = (error as { delayMs?: unknown }).delayMs;
  } catch {
    // a getter that throws
  }
  if (typeof delay === "number" && delay >= 0 && delay <= longestDelayMs) return endingWith(delay);
  const given = typeof delay === "number" || typeof delay === "string" ? String(delay).slice(0, 80) : typeof delay;
  const message =
    `the handler threw an error that asks for a delay of ${given}, which is no number of ms from 0 to ${longestDelayMs}: ` +
    `the attempt counts as failed`;
  return { kind: "error", error: new Error(message, { cause: error }) };
}

/** Returns the ending of an attempt whose payload could not be decrypted or parsed. */
export function endingOfPayload(error: unknown): Ending {
  if (isHarkError(error, "PAYLOAD_UNREADABLE")) return { kind: "fatal", reason: "payload_unreadable", error };
  if (isHarkError(error, "INVALID_PAYLOAD")) return { kind: "fatal", reason: "invalid_payload", error };
  return { kind: "error", error };
}
