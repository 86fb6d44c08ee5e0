import type { statements } from "@hark/core/internal";

/**
 * A claim of the whole queue that took longer than this, in ms, and so much longer for each job
 * that it found, is reason to look at the head. A claim of 1,000 jobs takes about 20 ms, one of a
 * single job 1 to 2 ms.
 */
const slowClaim = { ms: 5, msPerJob: 0.1 };

/** Time from one look at the head to the next at least, in ms. A look takes about 1 ms. */
const everyMs = 2_000;

/**
 * For how long to claim by types at least: until the slow claim took no more than this share of the
 * time, but no longer than `mostMs`. Then a head that is clear only for a moment costs one slow
 * claim in that time.
 */
const byTypes = { share: 0.01, mostMs: 60_000 };

/**
 * From which share of jobs of other types on a full head is crowded, and below which it is clear. A
 * claim of the whole queue steps over nine jobs for each that it takes where nine of ten are of
 * other types, which costs less than what claims by types lack: the order of age between types, and
 * outcomes that ride along.
 */
const crowded = { from: 0.9, below: 0.5 };

/**
 * Whether jobs that this worker does not run crowd the head of its queue. A claim of the whole
 * queue steps over them one by one: over a million in about two seconds. Then the queue is claimed
 * by types until the head is clear again (docs/decisions/0031).
 */
export class HeadWatch {
  #isCrowded = false;
  #isSuspected = true; // whatever stands there when the worker starts
  #slowMs = 0;
  #restMs = everyMs;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** True if claims should go by types. */
  get isCrowded(): boolean {
    return this.#isCrowded;
  }

  /**
   * True if the head is to be looked at before the next claim. Times are in ms of the process
   * clock.
   */
  isDue(now: number): boolean {
    return (this.#isSuspected || this.#isCrowded) && now >= this.#lookedAt + this.#restMs;
  }

  /** Notes how a claim of the whole queue went. */
  claimed({ tookMs, found }: { tookMs: number; found: number }): void {
    if (tookMs < slowClaim.ms + found * slowClaim.msPerJob) return;
    this.#isSuspected = true;
    this.#slowMs = tookMs;
  }

  /** Notes what a look has shown. */
  looked({ isFull, foreignShare }: statements.QueueHead, now: number): void {
    const wasCrowded = this.#isCrowded;
    this.#isCrowded = isFull && foreignShare >= (wasCrowded ? crowded.below : crowded.from);
    this.#isSuspected = false;
    this.#lookedAt = now;
    const restMs = wasCrowded ? this.#restMs * 2 : this.#slowMs / byTypes.share;
    this.#restMs = this.#isCrowded ? Math.min(Math.max(restMs, everyMs), byTypes.mostMs) : everyMs;
  }
}
