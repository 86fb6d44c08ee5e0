import type { Logger, PayloadCipher } from "@hark/core";
import { z } from "zod";
import { dayMs, sharedOptions, wholeNumber } from "./check.ts";
import type { JobProcessor } from "./processor.ts";

/** All durations are in ms. */
export interface JobManagerOptions {
  /** The URL of the database. */
  connectionString: string;
  /**
   * For LISTEN, a URL straight to PostgreSQL where connectionString leads through a transaction
   * pooler.
   */
  listenUrl?: string | undefined;
  /** Jobs that run at once in this process; 10 if not given. */
  concurrency?: number | undefined;
  /**
   * How long this process may be out of touch before others take over its jobs and, with them, the
   * locks on their URLs. 10,000 if not given, at least 1,000. It is renewed all the time, so jobs
   * may run much longer.
   */
  lockTTL?: number | undefined;
  /**
   * Notifications start jobs; this bounds what a lost one costs a ready job. 5,000 if not given.
   */
  pollInterval?: number | undefined;
  /** The same bound for delayed jobs and retries. 5,000 if not given. */
  delayedJobsInterval?: number | undefined;
  /** Attempts of the jobs added here, the first included; 3 if not given. */
  retryAttempts?: number | undefined;
  /** How long stop() waits for running jobs before it aborts them; 25,000 if not given. */
  drainTimeout?: number | undefined;
  /** Lets initialize() bring the database's schema up to date; false if not given. */
  migrate?: boolean | undefined;
  /** A label for people; host and process id if not given. */
  name?: string | undefined;
  /**
   * Seals the payloads of jobs added here and opens those of jobs run here; one that it cannot open
   * makes a dead letter of its job.
   */
  cipher?: PayloadCipher | undefined;
  /** Where log lines go; JSON lines on stderr, by pino, if not given. */
  logger?: Logger | undefined;
}

export const managerSettings = z.strictObject({
  ...sharedOptions,
  concurrency: wholeNumber(1, 10_000, "jobs at once").default(10),
  delayedJobsInterval: wholeNumber(100, dayMs, "ms").default(5_000),
  drainTimeout: wholeNumber(0, dayMs, "ms").default(25_000),
  migrate: z.boolean({ error: "must be true or false" }).default(false),
});

export const processorArgument = z.strictObject({
  processor: z.custom<JobProcessor>((value) => typeof value === "function", {
    error: "must be a function that runs a job",
  }),
});
