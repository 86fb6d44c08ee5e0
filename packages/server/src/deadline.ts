import { DatabaseTimeoutError } from "./errors.ts";

/** How long a caller waits for a reading at most, in ms: monitors ask often and give up early. */
export const readDeadlineMs = 2_000;
/** How long a caller waits for a change at most, in ms: as long as core gives its own statements. */
export const changeDeadlineMs = 10_000;

/**
 * Answers what `work` answers; throws {@link DatabaseTimeoutError} after `ms`. The work itself goes on: a pool with a deadline
 * of its own ends it, and for one without, the caller at least gets an answer.
 */
export async function within<Answer>(ms: number, work: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DatabaseTimeoutError(ms)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
