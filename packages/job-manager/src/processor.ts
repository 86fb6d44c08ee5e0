import { UnrecoverableError } from "@hark/core";
import { messageOf } from "@hark/core/internal";
import { type Handler, implement } from "@hark/worker";
import { shown } from "./check.ts";
import type { UrlJob } from "./define-url-job.ts";
import { JobFailedError } from "./errors.ts";
import type { Turns } from "./turns.ts";
import { type UrlJobView, viewOf } from "./url-job.ts";
import type { UrlLocks } from "./url-locks.ts";

/** The job that a processor gets. */
export interface Job extends UrlJobView {
  /**
   * Aborted when the job is cancelled, when the lease is lost, or when the JobManager stops. Its
   * reason is the error.
   */
  readonly signal: AbortSignal;
}

/** The result of a processor. A success is stored with the job. */
export interface JobResult {
  /** False fails the attempt, as an error does. */
  success: boolean;
  itemsProcessed: number;
  /** The errors. If the attempt failed, they are its error message. */
  errors: readonly string[];
  /** In ms. */
  duration: number;
}

/**
 * Runs one job. It may throw: RetryAfterError, SnoozeError and UnrecoverableError decide what
 * happens next, and any other error fails the attempt. `queue` has the JobManager's locks.
 */
export type JobProcessor = (job: Job, queue: UrlLocks) => Promise<JobResult> | JobResult;

/** What the jobs of a JobManager need to run. */
export interface ProcessorParts {
  /** The processor that counts when a job starts. */
  readonly current: () => JobProcessor;
  readonly turns: Turns;
  readonly locks: UrlLocks;
}

/** Binds a job type to the processor. A job waits for its host's turn first. */
export function handlerOf(job: UrlJob, { current, turns, locks }: ProcessorParts): Handler {
  return implement(job, async (context) => {
    const view = viewOf(context, context.payload);
    await turns.wait(view, context.signal);
    const result: unknown = await current()({ ...view, signal: context.signal }, locks);
    return judge(job.type, result);
  });
}

/** Returns the result to store for a success. Throws the error of a failed attempt. */
function judge(type: string, result: unknown): JobResult {
  const { success, itemsProcessed, errors = [], duration } = (result ?? {}) as Partial<JobResult>;
  if (typeof success !== "boolean" || !Array.isArray(errors)) {
    // A retry would do the work again, and get the same result.
    throw new UnrecoverableError(
      `The processor returned ${shown(result)} for a ${type} job. It must return { success, itemsProcessed, errors, duration }. ` +
        `Correct it, then requeue the job.`,
    );
  }
  const texts = errors.map(messageOf);
  if (!success) throw new JobFailedError(texts);
  return { success, itemsProcessed, errors: texts, duration } as JobResult;
}
