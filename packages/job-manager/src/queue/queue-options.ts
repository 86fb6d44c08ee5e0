import type { Logger, PayloadCipher } from "@hark/core";
import { z } from "zod";
import { dayMs, sharedOptions, wholeNumber } from "../check.ts";

/** All durations are in ms. */
export interface PostgresQueueOptions {
  /** The URL of the database. */
  connectionString: string;
  /**
   * For LISTEN, a URL straight to PostgreSQL where connectionString leads through a transaction
   * pooler.
   */
  listenUrl?: string | undefined;
  /**
   * How long this process may be out of touch before others get the jobs it dequeued; renewed all
   * the time. 10,000 if not given.
   */
  lockTTL?: number | undefined;
  /** Notifications wake waiting callers; this bounds what a lost one costs. 5,000 if not given. */
  pollInterval?: number | undefined;
  /** Attempts of the jobs enqueued here, the first included; 3 if not given. */
  retryAttempts?: number | undefined;
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

export interface DequeueOptions {
  /** How long to wait for a job if there is none, in ms; 0 if not given. */
  wait?: number | undefined;
}

export interface FailOptions {
  /** When the next attempt comes, in ms from now, instead of after the backoff. */
  retryAfter?: number | undefined;
}

export interface LockOptions {
  /** How long the lock holds, in ms, from 100 to a day. */
  ttl: number;
  /**
   * Between two tries, in ms; 100 if not given. Times maxRetries it is how long to wait: a release
   * wakes the waiter earlier.
   */
  retryDelay?: number | undefined;
  /** Tries after the first; 0 if not given. */
  maxRetries?: number | undefined;
}

export const queueSettings = z.strictObject(sharedOptions);
export const dequeueOptions = z.strictObject({ wait: wholeNumber(0, dayMs, "ms").default(0) });
export const failOptions = z.strictObject({ retryAfter: wholeNumber(0, 365 * dayMs, "ms").optional() });
export const lockOptions = z.strictObject({
  ttl: wholeNumber(100, dayMs, "ms"),
  retryDelay: wholeNumber(0, dayMs, "ms").default(100),
  maxRetries: wholeNumber(0, 1_000_000, "tries").default(0),
});
