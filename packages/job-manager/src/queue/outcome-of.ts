import { type DeadReason, JobCancelledError, type JobDetails, LeaseLostError, type Outcome } from "@hark/core";
import type { Ending, statements } from "@hark/core/internal";
import { endingOf } from "@hark/worker/internal";
import type { ClaimReference } from "./dequeued-job.ts";

/**
 * The state of a job after a failed attempt. `delay` is in ms. `attempts` is the count of attempts
 * so far.
 */
export type FailedJob =
  | { readonly state: "scheduled"; readonly delay: number; readonly attempts: number }
  | { readonly state: "dead"; readonly reason: DeadReason };

/** Returns an outcome in the form that failJob() returns. */
export function failedJob(outcome: Outcome): FailedJob {
  if (outcome.state === "dead") return { state: "dead", reason: outcome.reason };
  if (outcome.state === "scheduled") return { state: "scheduled", delay: outcome.delayMs, attempts: outcome.attempt };
  throw new Error(`a failed attempt cannot end as ${outcome.state}`);
}

/**
 * Returns the ending of an attempt that its caller reports as failed. Errors have the same effect
 * as when a handler throws them.
 */
export function endingOfFailure(error: unknown, retryAfterMs: number | undefined): Ending {
  return retryAfterMs === undefined
    ? endingOf(error, undefined)
    : { kind: "retry_after", error, delayMs: retryAfterMs };
}

/** Returns why a claim was refused, from the job's present state and the caller's reference. */
export function refusalOf(
  claim: statements.Claim,
  reference: ClaimReference | string,
  details: JobDetails | undefined,
): LeaseLostError | JobCancelledError {
  if (details?.state === "cancelled") return new JobCancelledError(details);
  const known = typeof reference === "string" ? {} : reference;
  const { type, attempts, max_attempts } = known as Partial<{
    type: string;
    attempts: number;
    max_attempts: number;
  }>;
  return new LeaseLostError({
    id: claim.id,
    type: type ?? details?.type ?? "of no type known here",
    attempt: attempts ?? details?.attempt ?? 0,
    maxAttempts: max_attempts ?? details?.maxAttempts ?? 0,
  });
}
