import { z } from "zod";
import { dayMs, wholeNumber } from "./check.ts";
import { defaults, ranges } from "./defaults.ts";
import type { JobProcessor } from "./processor.ts";
import { type SharedOptions, sharedOptions } from "./settings.ts";

/**
 * All durations are in ms. An option that is not given comes from its environment variable, if that
 * is set.
 */
export interface JobManagerOptions extends SharedOptions {
  /**
   * Jobs that run at the same time in this process. Default: `SCRAPER_CONCURRENT_JOBS`, or 3.
   */
  concurrency?: number | undefined;
  /**
   * Least time between the starts of two jobs whose URLs have one host, over all processes on the
   * database. Default: `SCRAPER_REQUEST_DELAY`, or 1,000. 0 for none.
   */
  requestDelay?: number | undefined;
  /**
   * Longest delay of a delayed job or a retry if a notification is lost. Default:
   * `JOB_MANAGER_DELAYED_INTERVAL`, or 30,000, which is also the most: what is longer counts as
   * that.
   */
  delayedJobsInterval?: number | undefined;
  /** How long stop() waits for running jobs before it aborts them. Default: 25,000. */
  drainTimeout?: number | undefined;
}

export const managerSettings = z.strictObject({
  ...sharedOptions,
  concurrency: wholeNumber(...ranges.concurrency).default(defaults.concurrency),
  requestDelay: wholeNumber(...ranges.requestDelay).default(defaults.requestDelay),
  delayedJobsInterval: wholeNumber(...ranges.delayedJobsInterval).default(defaults.delayedJobsInterval),
  drainTimeout: wholeNumber(0, dayMs, "ms").default(defaults.drainTimeout),
});

export const processorArgument = z.strictObject({
  processor: z.custom<JobProcessor>((value) => typeof value === "function", {
    error: "must be a function that runs a job",
  }),
});
