import { orLate } from "@hark/core";
import { DatabaseTimeoutError } from "./errors.ts";

/** How long a caller waits for a reading at most, in ms: monitors ask often and give up early. */
export const readDeadlineMs = 2_000;
/**
 * How long a caller waits for a change at most, in ms: as long as core gives its own statements.
 */
export const changeDeadlineMs = 10_000;

/**
 * Returns what `work` does; throws {@link DatabaseTimeoutError} after `ms`. The work itself goes
 * on: a pool with a deadline of its own ends it, and without one the caller at least gets an
 * answer.
 */
export async function within<Answer>(ms: number, work: Promise<Answer>): Promise<Answer> {
  const answer = await orLate(work, ms);
  if (answer === "late") throw new DatabaseTimeoutError(ms);
  return answer;
}
