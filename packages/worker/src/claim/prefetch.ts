/**
 * How far ahead a worker claims, in ms of work at the rate it measures. Slots give back what has
 * not begun after 60 to 70 ms, so no process idles for 100 ms beside one that holds jobs.
 */
const aheadMs = 40;

/**
 * Most jobs claimed ahead, however short they are: one claim on its way, and as many in hand
 * meanwhile.
 */
const mostAhead = 2_000;

/** Attempts are counted over the last one to two windows of this many ms. */
const windowMs = 50;

/**
 * Decides how many jobs of one queue to claim: as many as may run at once, and ahead of them what
 * will start within about 40 ms. So short jobs never wait for a round trip, and long jobs are not
 * held back from an idle process.
 *
 * It counts how many attempts ended lately rather than how long they took. A mean of those that
 * ended first does not include the long ones that still run. And handlers that share a processor
 * take turns, whatever their number.
 */
export class Prefetch {
  /** Jobs that may run at once. */
  capacity: number;
  readonly #mostAhead: number;
  readonly #now: () => number;
  #windowBegan: number;
  #ended = 0;
  /** The window before this one. */
  #former = { ended: 0, lastedMs: 0 };

  /** `mostAhead: 0` claims nothing ahead. `now` is in ms, and only ever grows. */
  constructor(capacity: number, options: { mostAhead?: number; now?: () => number } = {}) {
    this.capacity = capacity;
    this.#mostAhead = options.mostAhead ?? mostAhead;
    this.#now = options.now ?? (() => performance.now());
    this.#windowBegan = this.#now();
  }

  /** An attempt ended, and its slot is free. */
  attemptEnded(): void {
    this.#beginWindow();
    this.#ended += 1;
  }

  /** Jobs waited too long for a slot. None is claimed ahead until more attempts have ended. */
  forget(): void {
    this.#windowBegan = this.#now();
    this.#ended = 0;
    this.#former = { ended: 0, lastedMs: 0 };
  }

  /**
   * Jobs to hold beyond those that run. While few attempts have ended it grows with them, by
   * doubling, because the first to end may be the shortest.
   */
  get ahead(): number {
    this.#beginWindow();
    const ended = this.#ended + this.#former.ended;
    const lastedMs = Math.max(this.#now() - this.#windowBegan + this.#former.lastedMs, 0.1);
    return Math.min(Math.floor((ended / lastedMs) * aheadMs), 2 * ended, this.#mostAhead);
  }

  /**
   * Returns how many jobs to claim while `held` run or wait for a slot. None while every slot is
   * taken and half of what is held ahead is there: claims are then as large as they can be, and
   * come back before a slot runs dry.
   */
  demand(held: number): number {
    const { ahead, capacity } = this;
    return held < capacity + Math.ceil(ahead / 2) ? capacity + ahead - held : 0;
  }

  #beginWindow(): void {
    const now = this.#now();
    const lastedMs = now - this.#windowBegan;
    if (lastedMs < windowMs) return;
    // A window that ended long ago says nothing about the present jobs.
    this.#former = lastedMs < 2 * windowMs ? { ended: this.#ended, lastedMs } : { ended: 0, lastedMs: 0 };
    this.#ended = 0;
    this.#windowBegan = now;
  }
}
