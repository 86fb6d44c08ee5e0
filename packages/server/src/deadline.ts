import { orLate } from "@hark/core/internal";
import { DatabaseTimeoutError } from "./errors.ts";

/** Longest wait for a read, in ms. It is short because monitors ask often and give up early. */
export const readDeadlineMs = 2_000;
/** Longest wait for a change, in ms. It is the deadline of core's own statements. */
export const changeDeadlineMs = 10_000;

/**
 * Returns the result of `work`. Throws {@link DatabaseTimeoutError} after `ms`, while the work
 * itself goes on. Only a deadline of the pool ends it.
 */
export async function within<Answer>(ms: number, work: Promise<Answer>): Promise<Answer> {
  const answer = await orLate(work, ms);
  if (answer === "late") throw new DatabaseTimeoutError(ms);
  return answer;
}
