import { errorText, UnrecoverableError } from "@hark/core";
import { type Handler, implement } from "@hark/worker";
import { shown } from "./check.ts";
import type { UrlJob } from "./define-url-job.ts";
import { JobFailedError } from "./errors.ts";
import { type UrlJobView, viewOf } from "./url-job.ts";

/** What a processor gets. */
export interface ProcessorJob extends UrlJobView {
  /**
   * Aborted, with the error as its reason, when the job was cancelled, lost its lease or the
   * JobManager stops.
   */
  readonly signal: AbortSignal;
}

/** What a processor returns. A success is kept with the job. */
export interface ProcessorResult {
  /** False is a failed attempt, as a throw is. */
  success: boolean;
  itemsProcessed: number;
  /** What went wrong; of a failed attempt, the text of its error. */
  errors: readonly string[];
  /** In ms. */
  duration: number;
}

/**
 * Runs one job. May throw instead of returning: RetryAfterError, SnoozeError and UnrecoverableError
 * say what comes next, any other error is a failed attempt.
 */
export type JobProcessor = (job: ProcessorJob) => Promise<ProcessorResult> | ProcessorResult;

/** Binds a job type to the processor that `current` returns when a job starts. */
export function handlerOf(job: UrlJob, current: () => JobProcessor): Handler {
  return implement(job, async (context) => {
    const result: unknown = await current()({ ...viewOf(context, context.payload), signal: context.signal });
    return judge(job.type, result);
  });
}

/** Returns what is kept of a success; throws what a failed attempt shall be remembered by. */
function judge(type: string, result: unknown): ProcessorResult {
  const { success, itemsProcessed, errors = [], duration } = (result ?? {}) as Partial<ProcessorResult>;
  if (typeof success !== "boolean" || !Array.isArray(errors)) {
    // Trying again would do the work again, and get the same answer.
    throw new UnrecoverableError(
      `The processor answered ${shown(result)} for a ${type} job: it must answer { success, itemsProcessed, errors, duration }. ` +
        `Correct it, then requeue the job.`,
    );
  }
  const texts = errors.map((error) =>
    typeof error === "string" ? error : error instanceof Error ? error.message : errorText(error),
  );
  if (!success) throw new JobFailedError(texts);
  return { success, itemsProcessed, errors: texts, duration } as ProcessorResult;
}
