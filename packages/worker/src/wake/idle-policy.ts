import { type Backoff, backoffMs, type Logger } from "@hark/core";
import type { Next } from "../runtime/loop.ts";
import { fallAsleep } from "./fall-asleep.ts";
import type { NotifyGate } from "./notify-gate.ts";

/**
 * Jobs that come faster than this, in ms from one to the next, are looked for instead of announced:
 * above about 0.3 jobs in the time of a durable commit (0.3 to 1.6 ms), announcing them would make
 * producers queue up (performance.md, 4.3).
 */
const busyGapMs = 4;

/**
 * From one look to the next while jobs come that fast, in ms. With 2 the median job of 500 a second
 * started after 4.7 to 7.6 ms, with 1 after 4.0 to 4.3, and neither a drain beside a bulk producer
 * nor one beside 16 callers was the slower for it. No ring ends it: each job that ends rings for
 * its slot, and a claim after the other found little more, and took the processor from those who
 * enqueue.
 */
const busyRestMs = 1;

/**
 * Weight of the newest gap in the mean, and the longest gap that counts, in ms: some ten jobs in a
 * row tell that it is busy.
 */
const newest = 0.2;
const longestGapMs = 25;

/**
 * Falling asleep may have to wait for a long transaction: it begins anew after this, in ms, within
 * the deadline of a step.
 */
const patienceMs = 10_000;

/**
 * From the last look to the next when the gate could not be armed, in ms: nothing is announced
 * meanwhile.
 */
const noGateRestMs = 1_000;

/**
 * Rests while something is ready that no claim gets, in ms: another has it in hand, mostly in a
 * claim that commits in a moment, so that one or two rests are all. If that one dies instead, this
 * is how late its jobs are found.
 */
const heldUp: Backoff = { baseMs: 4, factor: 2, capMs: 250, jitter: 0.5 };

/**
 * Who was woken to claim at once, and found nothing, asks first for this long when it is woken so
 * again, and no oftener than this, in ms: anyone may send notifications, and so at most 20 claims
 * and 200 questions a second are to be had by that (FM-13).
 */
const inVain = { memoryMs: 50, restMs: 5 };

/**
 * Whether the looker for one queue's jobs sleeps, until they are announced, or goes on looking,
 * since jobs come so fast that announcing each would hold up who enqueues them
 * (docs/decisions/0006).
 */
export class IdlePolicy {
  readonly #queue: string;
  readonly #gate: NotifyGate;
  readonly #isListening: () => boolean;
  readonly #isAnyReady: () => Promise<boolean>;
  readonly #patienceMs: number;
  readonly #logger: Logger;
  /** "held up": something is ready that no claim gets, so it rests a moment and asks again. */
  #state: "awake" | "held up" | "asleep" = "awake";
  /** Armed since a moment after which every insert announces its jobs, and all before are found. */
  #isQuiet = false;
  /** How often it was woken, to tell whether it was meanwhile. */
  #wakes = 0;
  /** While it sleeps: when the others who were woken have had their turn. */
  #turnAt = Number.POSITIVE_INFINITY;
  /** Woken to claim at once, and has not found anything yet. */
  #isHasty = false;
  #vainAt = Number.NEGATIVE_INFINITY;
  #heldUpRests = 0;
  #meanGapMs = longestGapMs;
  #foundAt = Number.NEGATIVE_INFINITY;

  constructor(parts: {
    queue: string;
    gate: NotifyGate;
    isListening: () => boolean;
    /** Must see jobs that others hold locked too: isAnyReady() in core does. */
    isAnyReady: () => Promise<boolean>;
    /**
     * The poll of who looks, in ms: no wait for a transaction lasts longer without a question
     * whether anything is ready.
     */
    pollMs: number;
    logger: Logger;
  }) {
    this.#queue = parts.queue;
    this.#gate = parts.gate;
    this.#isListening = parts.isListening;
    this.#isAnyReady = parts.isAnyReady;
    this.#patienceMs = Math.min(parts.pollMs, patienceMs);
    this.#logger = parts.logger;
  }

  /**
   * Nothing is there, and whatever comes will be announced: only a wake-up or the poll is a reason
   * to look.
   */
  get isAsleep(): boolean {
    return this.#state === "asleep";
  }

  /**
   * Notes that there may be something to find. A sleeper that is to let others go first sleeps on
   * for `delayMs`, and then asks before it claims; so does one that was woken in vain just now,
   * since anyone may send notifications.
   */
  wake(delayMs = 0): void {
    this.#wakes += 1;
    const now = performance.now();
    if (this.#state !== "asleep") this.#state = "awake";
    else if (delayMs > 0) this.#turnAt = Math.min(this.#turnAt, now + delayMs);
    else if (now < this.#vainAt + inVain.memoryMs) this.#turnAt = Math.min(this.#turnAt, this.#vainAt + inVain.restMs);
    else this.#state = "awake";
    this.#isHasty ||= delayMs <= 0;
  }

  /**
   * Notes that it looks without being told, or can take nothing at the moment: producers need not
   * notify.
   */
  stayAwake(): void {
    this.#state = "awake";
    this.#isQuiet = false;
    this.#heldUpRests = 0;
    if (this.#gate.isOpen(this.#queue)) this.#gate.close(this.#queue);
  }

  /**
   * To be asked before each look. Answers undefined if it is time for one, or else when to ask
   * again. Only who was woken to claim at once does so: a poll, and who let others go first, ask
   * whether anything is ready, since a claim takes locks and writes.
   */
  async sleepOn(until: { rung: Promise<void>; signal: AbortSignal }): Promise<Next | undefined> {
    if (this.#isAwake || !this.#isListening()) return undefined;
    if (this.#turnAt < Number.POSITIVE_INFINITY) {
      const restMs = this.#turnAt - performance.now();
      if (restMs > 0) return { restMs };
      this.#turnAt = Number.POSITIVE_INFINITY;
    }
    const isQuiet = (await this.#settleDown(until)) === "quiet";
    if (!isQuiet || this.#isAwake) {
      this.#state = "awake";
      return undefined;
    }
    this.#goToSleep();
    return "rest";
  }

  /**
   * Says when to look again after a look that left nothing behind that was free, and found so many
   * jobs. `rung` must have been armed before the look.
   */
  async rest(found: number, until: { rung: Promise<void>; signal: AbortSignal }): Promise<Next> {
    const now = performance.now();
    if (found > 0) {
      const gapMs = Math.min((now - this.#foundAt) / found, longestGapMs);
      this.#meanGapMs += newest * (gapMs - this.#meanGapMs);
      this.#foundAt = now;
      this.#heldUpRests = 0;
      this.#isHasty = false;
    }
    if (!this.#isListening()) {
      this.stayAwake();
      return "rest";
    }
    if (Math.max(this.#meanGapMs, now - this.#foundAt) < busyGapMs) {
      this.stayAwake();
      return { restMs: busyRestMs, isDeaf: true };
    }
    const wakes = this.#wakes;
    const wasInVain = this.#isHasty;
    const settled = await this.#settleDown(until);
    if (wakes !== this.#wakes) {
      if (settled !== "quiet" || !wasInVain) return "again";
      // Woken in vain, and again meanwhile: it asks next, or words that come faster than claims
      // would make a claim after the other.
      this.#goToSleep();
      this.#turnAt = this.#vainAt + inVain.restMs;
      return { restMs: inVain.restMs };
    }
    switch (settled) {
      case "quiet":
        this.#turnAt = Number.POSITIVE_INFINITY;
        this.#goToSleep();
        return "rest";
      case "no gate":
        return { restMs: Math.max(noGateRestMs - (performance.now() - now), 0) };
      case "ready":
        if (found > 0) return "again";
        this.#state = "held up";
        return { restMs: backoffMs(heldUp, (this.#heldUpRests += 1)) };
      default:
        return settled satisfies never;
    }
  }

  get #isAwake(): boolean {
    return this.#state === "awake";
  }

  #goToSleep(): void {
    this.#state = "asleep";
    this.#heldUpRests = 0;
    if (this.#isHasty) this.#vainAt = performance.now();
    this.#isHasty = false;
  }

  /**
   * "quiet": nothing is ready, and whatever comes will be announced. "ready": something is, or may
   * be.
   */
  async #settleDown({
    rung,
    signal,
  }: {
    rung: Promise<void>;
    signal: AbortSignal;
  }): Promise<"quiet" | "ready" | "no gate"> {
    // While the mark stands, a look may have stepped over a job whose claim is then undone: asked
    // each time.
    if (this.#isQuiet && this.#gate.isOpen(this.#queue)) return (await this.#isAnyReady()) ? "ready" : "quiet";
    this.#isQuiet = false; // what it said of a former mark is nothing to the next, should this attempt throw
    let failure: unknown;
    const isAnyReady = () =>
      this.#isAnyReady().catch((error: unknown) => {
        failure = error;
        throw error;
      });
    try {
      const giveUp = AbortSignal.any([signal, AbortSignal.timeout(this.#patienceMs)]);
      this.#isQuiet = await fallAsleep(this.#gate, this.#queue, isAnyReady, { rung, signal: giveUp });
      return this.#isQuiet ? "quiet" : "ready";
    } catch (error) {
      if (error === failure) throw error;
      this.#logger.debug({ queue: this.#queue, error }, "could not fall asleep: will look again soon");
      return "no gate";
    }
  }
}
