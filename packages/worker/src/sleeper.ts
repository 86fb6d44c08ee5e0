import type { Logger } from "@hark/core";
import { fallAsleep } from "./fall-asleep.ts";
import type { Gate } from "./gate.ts";
import type { Next } from "./runtime/loop.ts";

/**
 * Jobs that come faster than this, in ms from one to the next, are looked for instead of announced: above about 0.3 jobs in the
 * time of a durable commit (0.3 to 1.6 ms), announcing them would make producers queue up (performance.md, 4.3).
 */
const busyGapMs = 4;

/** From one look to the next while jobs come that fast, in ms. */
const busyRestMs = 2;

/** Weight of the newest gap in the mean, and the longest gap that counts, in ms: some ten jobs in a row tell that it is busy. */
const newest = 0.2;
const longestGapMs = 25;

/** Falling asleep may have to wait for a long transaction: it begins anew after this, in ms, within the deadline of a step. */
const patienceMs = 10_000;

/**
 * Whether the looker for one queue's jobs sleeps, until they are announced, or goes on looking, since jobs come so fast that
 * announcing each would hold up who enqueues them (docs/decisions/0006).
 */
export class Sleeper {
  readonly #queue: string;
  readonly #gate: Gate;
  readonly #isListening: () => boolean;
  readonly #logger: Logger;
  /** Armed since a moment after which every insert announces its jobs, and all before are found. */
  #isQuiet = false;
  #isAsleep = false;
  #meanGapMs = longestGapMs;
  #foundAt = Number.NEGATIVE_INFINITY;

  constructor(parts: { queue: string; gate: Gate; isListening: () => boolean; logger: Logger }) {
    this.#queue = parts.queue;
    this.#gate = parts.gate;
    this.#isListening = parts.isListening;
    this.#logger = parts.logger;
  }

  /** Nothing is there, and whatever comes will be announced: only a wake-up or the poll is a reason to look. */
  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** Notes that there may be something to find. */
  wake(): void {
    this.#isAsleep = false;
  }

  /** Notes that it looks without being told, or can take nothing at the moment: producers need not notify. */
  stayAwake(): void {
    this.#isAsleep = this.#isQuiet = false;
    if (this.#gate.isArmed(this.#queue)) this.#gate.disarm(this.#queue);
  }

  /**
   * Says when to look again after a look that left nothing behind and found so many jobs. Before it sleeps it looks once more, or
   * oftener: `look` answers whether it found any. `rung` must have been armed before the look.
   */
  async rest(
    found: number,
    look: () => Promise<boolean>,
    { rung, signal }: { rung: Promise<void>; signal: AbortSignal },
  ): Promise<Next> {
    const now = performance.now();
    if (found > 0) {
      const gapMs = Math.min((now - this.#foundAt) / found, longestGapMs);
      this.#meanGapMs += newest * (gapMs - this.#meanGapMs);
      this.#foundAt = now;
    }
    if (!this.#isListening()) {
      this.stayAwake();
      return "rest";
    }
    if (Math.max(this.#meanGapMs, now - this.#foundAt) < busyGapMs) {
      this.stayAwake();
      return { restMs: busyRestMs };
    }
    if (!(this.#isQuiet && this.#gate.isArmed(this.#queue))) {
      this.#isQuiet = false; // what it said of a former mark is nothing to the next, should this attempt throw
      let failure: unknown;
      const looking = () =>
        look().catch((error: unknown) => {
          failure = error;
          throw error;
        });
      try {
        const giveUp = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
        this.#isQuiet = await fallAsleep(this.#gate, this.#queue, looking, { rung, signal: giveUp });
      } catch (error) {
        if (error === failure) throw error;
        this.#logger.debug({ queue: this.#queue, error }, "could not fall asleep: the poll finds until it can");
        return "rest";
      }
      if (!this.#isQuiet) return "again";
    }
    this.#isAsleep = true;
    return "rest";
  }
}
