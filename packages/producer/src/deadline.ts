import { EnqueueTimeoutError, orLate } from "@hark/core/internal";

/**
 * Longest wait for an answer of the database, in ms. Hark's own pools give up earlier (5 s to
 * connect, 10 s for a statement), with a clearer error. A borrowed pool may have no deadline, and
 * one lost connection must not block every later call.
 */
export const answerDeadlineMs = 20_000;

/**
 * Returns the answer to `work`. `isSent` tells, once it is late, whether an insert was sent, so
 * that its jobs may have been written.
 * @throws EnqueueTimeoutError after 20 s
 */
export async function answered<Answer>(
  work: () => Promise<Answer>,
  isSent: () => boolean = () => true,
): Promise<Answer> {
  const answer = await orLate(work(), answerDeadlineMs);
  if (answer === "late") throw new EnqueueTimeoutError(answerDeadlineMs, isSent());
  return answer;
}
