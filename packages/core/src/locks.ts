import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { checkOptions, type OptionKinds } from "./check-options.ts";
import { jitter } from "./clock.ts";
import type { Queryable } from "./database.ts";
import { InvalidOptionsError, LockLostError, LockTimeoutError } from "./errors/index.ts";
import { spellsIds } from "./json-ids.ts";
import { limits } from "./json.ts";
import { LockLoss } from "./lock-loss.ts";
import { acquireLock, guardLock, releaseLock, renewLock } from "./lock-statements.ts";
import { channels, type Notifications } from "./notifications.ts";
import { isBeyondEncoding } from "./sqlstate.ts";
import { queryableOf, type Transaction } from "./transaction.ts";
import { WakeUpLimiter } from "./wake-up-limiter.ts";

export interface AcquireOptions {
  /** How long the lock holds unrenewed, in ms, from 100 ms to a day. */
  ttlMs: number;
  /** How long to wait for it, in ms; 0, the default, tries once. */
  waitMs?: number;
  /** Ends the wait early, with its reason. */
  signal?: AbortSignal;
}

/** A lock that is held, until its time runs out. */
export interface Lock extends AsyncDisposable {
  readonly key: string;
  /** Proof of this grant: only its bearer renews or releases. */
  readonly token: string;
  /** Higher for every grant of the key: a resource that remembers it can refuse an older holder. */
  readonly fence: bigint;
  /**
   * Aborted when the lock may be lost: before it expires by this process's own clock, or when a
   * renewal was refused.
   */
  readonly signal: AbortSignal;
  /** Extends the lock to `ttlMs` from now; throws LockLostError if it is no longer held. */
  renew(ttlMs?: number): Promise<void>;
  /**
   * Gives the lock up and wakes the waiters; returns false if it was no longer held. Safe to call
   * twice.
   */
  release(): Promise<boolean>;
  /**
   * Inside the caller's transaction: holds the grant's row until that transaction ends, so that
   * what it writes is written by the one holder. Throws LockLostError if another took over or the
   * time ran out.
   */
  guard(tx: Transaction): Promise<void>;
}

export interface Locks {
  /**
   * Takes the lock on `key`, waiting up to `waitMs`.
   * @throws LockTimeoutError if it was not free in time
   * @throws InvalidOptionsError
   */
  acquire(key: string, options: AcquireOptions): Promise<Lock>;
  /**
   * Releases by token alone, for callers that kept nothing else; false if it was no longer held.
   */
  release(key: string, token: string): Promise<boolean>;
}

/**
 * What tokens look like; PostgreSQL raises an error for any other text, where the answer is that it
 * holds nothing.
 */
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Longest rest between tries when no notification comes, in ms: what a lost one costs a waiter. */
const pollMs = 1_000;

/**
 * Between tries while a lock has expired and another transaction holds its row locked, in ms; and
 * how long a caller who does not wait tries so, since it is mostly over at once.
 */
const lockedRestMs = 50;
const lockedGraceMs = 500;

/**
 * Locks by key for application code, over `db`. With `notifications` a waiter wakes the moment the
 * lock is released; without, it looks every 100 ms. Job keys are a namespace of their own
 * (docs/decisions/0002).
 */
export function createLocks({
  db,
  notifications,
  owner = `${process.title}:${process.pid}`,
  ...unknown
}: {
  db: Queryable;
  notifications?: Notifications | undefined;
  /** A label for people that read hark.locks. */
  owner?: string;
}): Locks {
  checkOptions("createLocks", { db: db ?? null, notifications, owner, ...unknown }, locksOptions); // db is needed
  const release = async (key: string, token: string) =>
    uuidForm.test(token) && (await releaseLock(db, { key, token })).length === 1;

  return {
    release,
    async acquire(key, options) {
      checkOptions("acquire", options, acquireOptions);
      const { ttlMs, waitMs = 0, signal } = options;
      checkRequest(key, ttlMs, waitMs);
      const startedAt = performance.now();
      const waitEndsAt = startedAt + waitMs;
      const released = new Bell();
      const limiter = new WakeUpLimiter();
      let stopListening: (() => void) | undefined;
      try {
        for (;;) {
          signal?.throwIfAborted();
          released.reset(); // before the try, or a release during it would be missed
          const askedAt = performance.now();
          const token = randomUUID();
          const [answer] = await acquireLock(db, { key, token, owner, ttlMs }).catch(refuseUnencodable);
          if (!answer) continue; // the holder left between the two looks of the statement
          if (answer.isGranted) return heldLock({ db, key, token, fence: answer.fence, ttlMs, askedAt, release });

          const isExpired = answer.expiresInMs <= 0;
          const leftMs = Math.max(waitEndsAt, isExpired ? startedAt + lockedGraceMs : 0) - performance.now();
          if (leftMs <= 0) throw new LockTimeoutError(key, waitMs);
          stopListening ??= notifications?.on(channels.lockReleased, (hash) => {
            if (hash === undefined || hash === answer.keyHash) released.ring();
          });
          // Expired, and its row is locked: a transaction guards it, or another caller takes it.
          const untilFreeMs = isExpired ? jitter(lockedRestMs) : answer.expiresInMs + 5;
          const restMs = Math.min(leftMs, untilFreeMs, notifications ? pollMs : jitter(100));
          if (!(await released.wait(Math.max(restMs, 1), signal))) continue;
          limiter.countSpurious(); // taken as false until the next look takes the lock and ends the wait
          await limiter.pause(signal);
        }
      } finally {
        stopListening?.();
      }
    },
  };
}

const acquireOptions: OptionKinds<AcquireOptions> = { ttlMs: "any", waitMs: "any", signal: "signal" };
const locksOptions: OptionKinds<Parameters<typeof createLocks>[0]> = {
  db: "queryable",
  notifications: "notifications",
  owner: "text",
};

/** Says which of the caller's texts the database cannot hold. */
function refuseUnencodable(error: unknown): never {
  if (!isBeyondEncoding(error)) throw error;
  const message = "or the owner has a character that the encoding of the database lacks";
  throw new InvalidOptionsError("acquire", [{ path: ["key"], message }]);
}

function checkRequest(key: unknown, ttlMs: number, waitMs: number): void {
  const issues = [];
  if (
    typeof key !== "string" ||
    key === "" ||
    Buffer.byteLength(key) > limits.keyBytes ||
    key.includes("\0") ||
    !key.isWellFormed()
  ) {
    issues.push({ path: ["key"], message: `must be text of 1 to ${limits.keyBytes} bytes` });
  }
  if (!(typeof ttlMs === "number" && ttlMs >= 100 && ttlMs <= 86_400_000))
    issues.push({ path: ["ttlMs"], message: "must be from 100 ms to a day" });
  if (!(typeof waitMs === "number" && waitMs >= 0 && waitMs <= 86_400_000))
    issues.push({ path: ["waitMs"], message: "must be from 0 to a day" });
  if (issues.length) throw new InvalidOptionsError("acquire", issues);
}

function heldLock({
  db,
  key,
  token,
  fence,
  ttlMs: grantedMs,
  askedAt,
  release,
}: {
  db: Queryable;
  key: string;
  token: string;
  fence: bigint;
  ttlMs: number;
  askedAt: number;
  release: Locks["release"];
}): Lock {
  const loss = new LockLoss(key, fence);
  loss.granted(askedAt, grantedMs);
  let isOver = false;

  const lock: Lock = {
    key,
    token,
    fence,
    get signal() {
      return loss.signal;
    },
    async renew(ttlMs = grantedMs) {
      checkRequest(key, ttlMs, 0);
      const renewedAt = performance.now();
      const [renewed] = await renewLock(db, { key, token, ttlMs });
      if (!renewed) {
        loss.lost();
        throw new LockLostError(key, fence);
      }
      loss.granted(renewedAt, ttlMs);
    },
    async release() {
      if (isOver) return false;
      loss.released();
      const wasHeld = await release(key, token);
      isOver = true;
      return wasHeld;
    },
    async guard(tx) {
      const [held] = await guardLock(queryableOf(tx), { key, token });
      if (held) return;
      loss.lost();
      throw new LockLostError(key, fence);
    },
    async [Symbol.asyncDispose]() {
      await lock.release();
    },
  };
  return Object.setPrototypeOf(lock, spellsIds) as Lock; // withJsonIds() would read the signal, and so make it
}

/**
 * Lets one waiter sleep until it is rung, its time is over or its signal aborts; a ring before the
 * wait counts.
 */
class Bell {
  #hasRung = false;
  #wake: AbortController | undefined;

  reset(): void {
    this.#hasRung = false;
  }

  ring(): void {
    this.#hasRung = true;
    this.#wake?.abort();
  }

  /** Returns whether it was rung. */
  async wait(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#hasRung) return true;
    const wake = (this.#wake = new AbortController());
    const abort = () => wake.abort();
    signal?.addEventListener("abort", abort);
    try {
      await sleep(ms, undefined, { signal: wake.signal });
    } catch {
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#wake = undefined;
    }
    return this.#hasRung;
  }
}
