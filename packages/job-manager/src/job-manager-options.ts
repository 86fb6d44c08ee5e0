import type { Logger, PayloadCipher } from "@hark/core";
import { z } from "zod";
import { dayMs, sharedOptions, wholeNumber } from "./check.ts";
import type { JobProcessor } from "./processor.ts";

/** All durations are in ms. */
export interface JobManagerOptions {
  /** The URL of the database. */
  connectionString: string;
  /**
   * A direct URL to PostgreSQL for LISTEN, needed if connectionString goes through a transaction
   * pooler.
   */
  listenUrl?: string | undefined;
  /** Jobs that run at the same time in this process. Default: 10. */
  concurrency?: number | undefined;
  /**
   * How long this process may lose contact with the database before others take over its jobs, and
   * with them the locks on their URLs. Default: 10,000, at least 1,000. The lease is renewed all
   * the time, so jobs may run much longer.
   */
  lockTTL?: number | undefined;
  /**
   * Longest delay of a ready job if a notification is lost. Default: 5,000.
   */
  pollInterval?: number | undefined;
  /** The same for delayed jobs and retries. Default: 5,000. */
  delayedJobsInterval?: number | undefined;
  /** Most attempts of the jobs added here, the first included. Default: 3. */
  retryAttempts?: number | undefined;
  /** How long stop() waits for running jobs before it aborts them. Default: 25,000. */
  drainTimeout?: number | undefined;
  /** Lets initialize() bring the database's schema up to date. Default: false. */
  migrate?: boolean | undefined;
  /** A label for people. Default: host and process id. */
  name?: string | undefined;
  /**
   * Encrypts the payloads of jobs added here, and decrypts those of jobs run here. A job whose
   * payload cannot be decrypted becomes a dead letter.
   */
  cipher?: PayloadCipher | undefined;
  /** Receives log lines. Default: JSON lines on stderr, by pino. */
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
