/** How far ahead a worker claims, in ms of work at the rate it measures (design.md, section 9). */
const aheadMs = 50;

/** Most jobs claimed ahead, however short they are: two claims under way, and as many in hand meanwhile. */
const mostAhead = 2_000;

/** Weight of the newest handler's time in the mean: about the last twenty decide. */
const newest = 0.05;

/**
 * How many jobs of one queue a worker wants: as many as may run at once, and ahead of them what it will start within some 50 ms,
 * so that short jobs never wait for a round trip, and long ones are not kept from a process that idles.
 */
export class Appetite {
  readonly #concurrency: number;
  #meanMs: number | undefined;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Learns how long a handler took, in ms. */
  learn(durationMs: number): void {
    this.#meanMs = this.#meanMs === undefined ? durationMs : this.#meanMs + newest * (durationMs - this.#meanMs);
  }

  /** Learns that what runs takes long, though it has not ended yet: nothing is held ahead until shorter jobs have told otherwise. */
  stall(): void {
    this.#meanMs = Math.max(this.#meanMs ?? 0, this.#concurrency * aheadMs + 1);
  }

  /** Jobs to hold beyond those that run; none before the first has ended. */
  get ahead(): number {
    if (this.#meanMs === undefined) return 0;
    return Math.min(Math.floor((this.#concurrency * aheadMs) / Math.max(this.#meanMs, 0.01)), mostAhead);
  }

  /**
   * How many jobs to claim while `held` run or wait for a slot. None while every slot is taken and half of what it holds ahead is
   * there: claims are then as large as they can be, and come back before a slot runs dry.
   */
  wanted(held: number): number {
    const { ahead } = this;
    return held < this.#concurrency + Math.ceil(ahead / 2) ? this.#concurrency + ahead - held : 0;
  }
}
