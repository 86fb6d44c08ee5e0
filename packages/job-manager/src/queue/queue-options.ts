import { z } from "zod";
import { dayMs, wholeNumber } from "../check.ts";
import { type SharedOptions, sharedOptions } from "../settings.ts";

/**
 * All durations are in ms. An option that is not given comes from its environment variable, if that
 * is set.
 */
export interface PostgresQueueOptions extends SharedOptions {
  /**
   * How long finished jobs are kept, in days. Of all workers and queues on the database, the
   * shortest time counts. Default: 7, as for workers.
   */
  keepDays?: number | undefined;
}

export interface DequeueOptions {
  /** How long to wait for a job if there is none, in ms. Default: 0. */
  wait?: number | undefined;
}

export interface FailOptions {
  /** Wait before the next attempt, in ms, in place of the backoff. */
  retryAfter?: number | undefined;
}

export const queueSettings = z.strictObject({
  ...sharedOptions,
  keepDays: wholeNumber(1, 1_000_000, "days").default(7),
});
export const dequeueOptions = z.strictObject({ wait: wholeNumber(0, dayMs, "ms").default(0) });
export const failOptions = z.strictObject({ retryAfter: wholeNumber(0, 365 * dayMs, "ms").optional() });
