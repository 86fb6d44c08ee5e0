import { HarkError, quote } from "./hark-error.ts";

/** A lock is held by someone else by now, or by nobody. */
export class LockLostError extends HarkError {
  constructor(key: string, fence: bigint) {
    super(
      "LOCK_LOST",
      { key, fence },
      `The lock on ${quote(key)} under fence ${fence} is no longer held: it expired, was released or was taken over. ` +
        `Nothing guarded by it was written. Acquire it again, with a longer ttlMs or a renew() in time.`,
    );
  }
}

/** A lock did not become free in the time that acquire() was told to wait. */
export class LockTimeoutError extends HarkError {
  constructor(key: string, waitMs: number) {
    super(
      "LOCK_TIMEOUT",
      { key, waitMs },
      `The lock on ${quote(key)} was not free within ${waitMs} ms. Wait longer with waitMs, or try again later.`,
    );
  }
}
