import { type Locks, LockTimeoutError } from "@hark/core";
import { z } from "zod";
import { check, dayMs, wholeNumber } from "./check.ts";

/** All times are in ms. */
export interface LockOptions {
  /** How long the lock lasts, from 100 to a day. Default: the option lockTTL. */
  ttl?: number | undefined;
  /**
   * Pause between two tries. Default: 100. The longest wait is retryDelay * maxRetries. A release
   * of the lock wakes the waiter earlier.
   */
  retryDelay?: number | undefined;
  /** Tries after the first. Default: 10. With 0 a lock that is held is not waited for. */
  maxRetries?: number | undefined;
}

/** Locks on URLs, or on any text up to 1024 bytes. */
export interface UrlLocks {
  /**
   * Takes the lock. Returns its value, which releases it, or null if another caller held it all the
   * time.
   * @throws InvalidOptionsError
   */
  acquireLock(url: string, options?: LockOptions): Promise<string | null>;
  /**
   * Releases a lock and wakes the next caller that waits for it. Returns false if `lockValue` does
   * not hold it: the lock has expired, or the value never held it.
   */
  releaseLock(url: string, lockValue: string): Promise<boolean>;
}

/** The wait of LockOptions with its defaults. */
export interface LockWait {
  readonly ttlMs: number;
  readonly waitMs: number;
}

const options = z.strictObject({
  ttl: wholeNumber(100, dayMs, "ms").optional(),
  retryDelay: wholeNumber(0, dayMs, "ms").default(100),
  maxRetries: wholeNumber(0, 1_000_000, "tries").default(10),
});

/** Checks the options of acquireLock(). Throws InvalidOptionsError. */
export function lockWaitOf(given: LockOptions, lockTTL: number): LockWait {
  const { ttl = lockTTL, retryDelay, maxRetries } = check("acquireLock", options, given);
  return { ttlMs: ttl, waitMs: Math.min(retryDelay * maxRetries, dayMs) };
}

/** Takes a lock and returns its value, or null if another caller held it all the time. */
export async function lockValueOf(
  locks: Locks,
  url: string,
  wait: LockWait & { signal?: AbortSignal },
): Promise<string | null> {
  try {
    return (await locks.acquire(url, wait)).token;
  } catch (error) {
    if (error instanceof LockTimeoutError) return null;
    throw error;
  }
}
