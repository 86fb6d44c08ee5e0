import { type Backoff, backoffMs } from "./backoff.ts";
import { errorText } from "./error-text.ts";

/** How an attempt ended, as its worker or a rescuer saw it. */
export type Ending =
  | { readonly kind: "completed"; readonly resultJson: string | null }
  | { readonly kind: "error"; readonly error: unknown }
  | { readonly kind: "retry_after"; readonly error: unknown; readonly delayMs: number }
  | {
      readonly kind: "fatal";
      readonly error: unknown;
      readonly reason: "unrecoverable" | "invalid_payload" | "payload_unreadable";
    }
  | { readonly kind: "timeout"; readonly error: unknown }
  | { readonly kind: "cancelled" }
  | { readonly kind: "snoozed"; readonly delayMs: number }
  | { readonly kind: "interrupted" }
  | { readonly kind: "crashed" };

export type DeadReason =
  | "attempts_exhausted"
  | "unrecoverable"
  | "invalid_payload"
  | "payload_unreadable"
  | "worker_died";

/** What becomes of the job: the state it goes to, with what that state needs. */
export type Outcome =
  | { readonly state: "completed"; readonly resultJson: string | null }
  | {
      readonly state: "scheduled";
      readonly ending: "error" | "retry_after" | "timeout" | "snoozed" | "interrupted" | "crashed";
      readonly delayMs: number;
      /** Attempts that count from now on: one less than tried if this one is given back. */
      readonly attempt: number;
      readonly error: string | null;
    }
  | {
      readonly state: "dead";
      readonly ending: "error" | "retry_after" | "timeout" | "fatal" | "crashed";
      readonly reason: DeadReason;
      readonly error: string;
    }
  | { readonly state: "cancelled" };

/**
 * What the outcome depends on besides the ending. `attempt` counts from 1 and includes the one that
 * ended.
 */
export interface Tried {
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Crashes before this ending. */
  readonly crashCount: number;
}

/**
 * Crashes after which a job is taken for poison, whatever attempts are left (FM-24). Also in
 * rescue-jobs.ts.
 */
export const crashBudget = 3;

/**
 * The table of outcomes, the one place that decides what becomes of a job (FM-27):
 *
 * | ending | attempts left | none left |
 * | --- | --- | --- |
 * | completed | completed | completed |
 * | error, timeout | scheduled after the backoff | dead, attempts_exhausted |
 * | retry_after | scheduled after its delay | dead, attempts_exhausted |
 * | fatal | dead, its reason | dead, its reason |
 * | cancelled | cancelled | cancelled |
 * | snoozed, interrupted | scheduled after its delay or at once, attempt given back | the same |
 * | crashed | scheduled at once; dead, worker_died at the third crash | dead, worker_died |
 *
 * "scheduled" with no delay is due at once, so it is stored as ready.
 */
export function decideOutcome(
  tried: Tried,
  ending: Ending,
  backoff: Backoff,
  random: () => number = Math.random,
): Outcome {
  const isLast = tried.attempt >= tried.maxAttempts;
  switch (ending.kind) {
    case "completed":
      return { state: "completed", resultJson: ending.resultJson };
    case "cancelled":
      return { state: "cancelled" };
    case "fatal":
      return { state: "dead", ending: ending.kind, reason: ending.reason, error: errorText(ending.error) };
    case "snoozed":
      return again(ending.kind, ending.delayMs, tried.attempt - 1, null);
    case "interrupted":
      return again(ending.kind, 0, tried.attempt - 1, null);
    case "crashed":
      return isLast || tried.crashCount + 1 >= crashBudget
        ? { state: "dead", ending: ending.kind, reason: "worker_died", error: "its worker died while it ran" }
        : again(ending.kind, 0, tried.attempt, null);
    case "error":
    case "timeout":
    case "retry_after": {
      const error = errorText(ending.error);
      if (isLast) return { state: "dead", ending: ending.kind, reason: "attempts_exhausted", error };
      const delayMs = ending.kind === "retry_after" ? ending.delayMs : backoffMs(backoff, tried.attempt, random);
      return again(ending.kind, delayMs, tried.attempt, error);
    }
    default:
      return ending satisfies never;
  }
}

function again(
  ending: Extract<Outcome, { state: "scheduled" }>["ending"],
  delayMs: number,
  attempt: number,
  error: string | null,
): Outcome {
  return { state: "scheduled", ending, delayMs, attempt, error };
}
