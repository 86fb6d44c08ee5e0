import type { Logger, PayloadCipher } from "@hark/core";
import { z } from "zod";
import { dayMs, sharedOptions, wholeNumber } from "../check.ts";

/** All durations are in ms. */
export interface PostgresQueueOptions {
  /** The URL of the database. */
  connectionString: string;
  /**
   * A direct URL to PostgreSQL for LISTEN, needed if connectionString goes through a transaction
   * pooler.
   */
  listenUrl?: string | undefined;
  /**
   * How long this process may lose contact with the database before others get the jobs it
   * dequeued. The lease is renewed all the time. Default: 10,000.
   */
  lockTTL?: number | undefined;
  /** Longest delay of a waiting caller if a notification is lost. Default: 5,000. */
  pollInterval?: number | undefined;
  /** Most attempts of the jobs enqueued here, the first included. Default: 3. */
  retryAttempts?: number | undefined;
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

export interface DequeueOptions {
  /** How long to wait for a job if there is none, in ms. Default: 0. */
  wait?: number | undefined;
}

export interface FailOptions {
  /** Wait before the next attempt, in ms, in place of the backoff. */
  retryAfter?: number | undefined;
}

export interface LockOptions {
  /** How long the lock lasts, in ms, from 100 to a day. */
  ttl: number;
  /**
   * Pause between two tries, in ms. Default: 100. The longest wait is retryDelay * maxRetries. A
   * release of the lock wakes the waiter earlier.
   */
  retryDelay?: number | undefined;
  /** Tries after the first. Default: 0. */
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
