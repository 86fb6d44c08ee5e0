/**
 * Jobs that come faster than this, in ms from one to the next, are looked for instead of announced.
 * At more than about 0.3 jobs in the time of a durable commit (0.3 to 1.6 ms), announcing them
 * would make producers queue up (docs/decisions/0006).
 */
const busyGapMs = 4;

/**
 * Weight of the newest gap in the mean, and the longest gap that counts, in ms: about ten jobs in a
 * row make a queue count as busy.
 */
const newestShare = 0.2;
const longestGapMs = 25;

/** How fast the jobs of one queue come, as its claims find them. All times by performance.now(). */
export class ArrivalRate {
  #meanGapMs = longestGapMs;
  #foundAt = Number.NEGATIVE_INFINITY;

  /** A claim found so many jobs, at least one. */
  count(found: number, now: number): void {
    const gapMs = Math.min((now - this.#foundAt) / found, longestGapMs);
    this.#meanGapMs += newestShare * (gapMs - this.#meanGapMs);
    this.#foundAt = now;
  }

  /** True if jobs come so fast that announcing them would slow down their producers. */
  isBusy(now: number): boolean {
    return Math.max(this.#meanGapMs, now - this.#foundAt) < busyGapMs;
  }
}
