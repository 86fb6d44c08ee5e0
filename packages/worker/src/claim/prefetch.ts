/**
 * How far ahead a worker claims, in ms of work at the rate it measures: with the 60 to 70 ms after which the executor gives
 * back what has not begun, no process idles for 100 ms beside one that holds jobs (design.md, section 9, says about 50 ms).
 */
const aheadMs = 40;

/** Most jobs claimed ahead, however short they are: one claim under way, and as many in hand meanwhile. */
const mostAhead = 2_000;

/** Attempts are counted over the last one to two windows of this many ms. */
const windowMs = 50;

/**
 * How many jobs of one queue a worker wants: as many as may run at once, and ahead of them what it will start within some 40 ms,
 * so that short jobs never wait for a round trip, and long ones are not kept from a process that idles.
 *
 * It counts how many attempts ended lately rather than how long they took: a mean of those that ended first knows nothing of the
 * long ones beside them, and handlers that share a processor take turns, whatever their number.
 */
export class Prefetch {
  readonly #concurrency: number;
  readonly #now: () => number;
  #windowBegan: number;
  #ended = 0;
  /** The window before this one. */
  #former = { ended: 0, lastedMs: 0 };

  /** `now` is in ms, and only ever grows. */
  constructor(concurrency: number, now: () => number = () => performance.now()) {
    this.#concurrency = concurrency;
    this.#now = now;
    this.#windowBegan = now();
  }

  /** An attempt ended, and its slot is free. */
  attemptEnded(): void {
    this.#beginWindow();
    this.#ended += 1;
  }

  /** What was held waited too long: nothing is held ahead until attempts that end have told otherwise. */
  forget(): void {
    this.#windowBegan = this.#now();
    this.#ended = 0;
    this.#former = { ended: 0, lastedMs: 0 };
  }

  /**
   * Jobs to hold beyond those that run. While few have ended it grows with them, by doubling, since the first to end may be the
   * shortest.
   */
  get ahead(): number {
    this.#beginWindow();
    const ended = this.#ended + this.#former.ended;
    const lastedMs = Math.max(this.#now() - this.#windowBegan + this.#former.lastedMs, 0.1);
    return Math.min(Math.floor((ended / lastedMs) * aheadMs), 2 * ended, mostAhead);
  }

  /**
   * How many jobs to claim while `held` run or wait for a slot. None while every slot is taken and half of what it holds ahead is
   * there: claims are then as large as they can be, and come back before a slot runs dry.
   */
  wanted(held: number): number {
    const { ahead } = this;
    return held < this.#concurrency + Math.ceil(ahead / 2) ? this.#concurrency + ahead - held : 0;
  }

  #beginWindow(): void {
    const now = this.#now();
    const lastedMs = now - this.#windowBegan;
    if (lastedMs < windowMs) return;
    // A window that ended long ago tells nothing of what runs now.
    this.#former = lastedMs < 2 * windowMs ? { ended: this.#ended, lastedMs } : { ended: 0, lastedMs: 0 };
    this.#ended = 0;
    this.#windowBegan = now;
  }
}
