import type { Logger, Outcome } from "@hark/core";
import { firstLine, type statements } from "@hark/core/internal";

/**
 * Logs the outcome of an attempt: a success at level debug, a retry at warn, a dead letter at
 * error.
 */
export function logOutcome(
  logger: Logger,
  { id, queue, type, attempt, maxAttempts }: statements.ClaimedJob,
  outcome: Outcome,
  durationMs: number,
): void {
  if (outcome.state === "completed" && logger.isLevelEnabled?.("debug") === false) return;
  const facts = { jobId: id, queue, type, attempt, maxAttempts, durationMs: Math.round(durationMs) };
  if (outcome.state === "completed") logger.debug(facts, "job completed");
  else if (outcome.state === "dead")
    logger.error({ ...facts, reason: outcome.reason, error: firstLine(outcome.error) }, "job is a dead letter");
  else if (outcome.state === "scheduled" && outcome.error !== null) {
    logger.warn(
      { ...facts, error: firstLine(outcome.error), delayMs: Math.round(outcome.delayMs) },
      "job failed, will be tried again",
    );
  }
}

/** Logs that an outcome was not written, because the claim did not hold any more. */
export function logRefusal(logger: Logger, { id, queue, type, attempt }: statements.ClaimedJob, ending: string): void {
  logger.warn(
    { jobId: id, queue, type, attempt, ending },
    "outcome refused: the job was cancelled, or its lease was lost and another worker owns it",
  );
}
