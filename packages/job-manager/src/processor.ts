import { UnrecoverableError } from "@hark/core";
import { errorText } from "@hark/core/internal";
import { type Handler, implement } from "@hark/worker";
import { shown } from "./check.ts";
import type { UrlJob } from "./define-url-job.ts";
import { JobFailedError } from "./errors.ts";
import { type UrlJobView, viewOf } from "./url-job.ts";

/** The argument of a processor. */
export interface ProcessorJob extends UrlJobView {
  /**
   * Aborted when the job is cancelled, when the lease is lost, or when the JobManager stops. Its
   * reason is the error.
   */
  readonly signal: AbortSignal;
}

/** The result of a processor. A success is stored with the job. */
export interface ProcessorResult {
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
 * happens next, and any other error fails the attempt.
 */
export type JobProcessor = (job: ProcessorJob) => Promise<ProcessorResult> | ProcessorResult;

/** Binds a job type to the processor that `current` returns when a job starts. */
export function handlerOf(job: UrlJob, current: () => JobProcessor): Handler {
  return implement(job, async (context) => {
    const result: unknown = await current()({ ...viewOf(context, context.payload), signal: context.signal });
    return judge(job.type, result);
  });
}

/** Returns the result to store for a success. Throws the error of a failed attempt. */
function judge(type: string, result: unknown): ProcessorResult {
  const { success, itemsProcessed, errors = [], duration } = (result ?? {}) as Partial<ProcessorResult>;
  if (typeof success !== "boolean" || !Array.isArray(errors)) {
    // A retry would do the work again, and get the same result.
    throw new UnrecoverableError(
      `The processor returned ${shown(result)} for a ${type} job. It must return { success, itemsProcessed, errors, duration }. ` +
        `Correct it, then requeue the job.`,
    );
  }
  const texts = errors.map((error) =>
    typeof error === "string" ? error : error instanceof Error ? error.message : errorText(error),
  );
  if (!success) throw new JobFailedError(texts);
  return { success, itemsProcessed, errors: texts, duration } as ProcessorResult;
}
