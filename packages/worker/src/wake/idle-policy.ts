import type { Logger } from "@hark/core";
import type { Next } from "../runtime/loop.ts";
import { ArrivalRate } from "./arrival-rate.ts";
import { fallAsleep } from "./fall-asleep.ts";
import { type Answer, firstState, type IdleAction, type IdleEvent } from "./idle-state.ts";
import { transition } from "./idle-table.ts";
import type { NotifyGate } from "./notify-gate.ts";

/**
 * Falling asleep may have to wait for a long transaction. After this long it starts again, in ms,
 * within the deadline of a step.
 */
const patienceMs = 10_000;

/** The loop's wake-up and stop. `rung` must have been armed before the step's look. */
export interface Interruptions {
  readonly rung: Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Decides for one queue when to look for jobs. It sleeps until jobs are announced, or keeps looking
 * while jobs come so fast that announcing each would slow down their producers
 * (docs/decisions/0006). The table in idle-table.ts says what to do in which state. This class does
 * it.
 */
export class IdlePolicy {
  readonly #queue: string;
  readonly #gate: NotifyGate;
  readonly #isListening: () => boolean;
  readonly #isAnyReady: () => Promise<boolean>;
  readonly #patienceMs: number;
  readonly #logger: Logger;
  readonly #arrivals = new ArrivalRate();
  #state = firstState;
  /** The gate is open, and the writers that may not have seen it open are gone. */
  #isQuiesced = false;
  #awaitsPoll = false;

  constructor(parts: {
    queue: string;
    gate: NotifyGate;
    isListening: () => boolean;
    /** Must see jobs that others hold locked too: probeJobs() in core does. */
    isAnyReady: () => Promise<boolean>;
    /**
     * The poll of the loop, in ms. A wait for a transaction asks at least this often whether
     * anything is ready.
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
   * True if no job is ready, as far as is known. Then only a wake-up or the poll is a reason to
   * look.
   */
  get isAsleep(): boolean {
    return this.#state.mode === "asleep" || this.#state.mode === "waiting";
  }

  /** True while it rests until a wake-up: then the poll looks for it. */
  get awaitsPoll(): boolean {
    return this.#awaitsPoll;
  }

  /** True while every new job will be announced, as far as is known here. */
  get expectsNotifications(): boolean {
    return this.#state.mode === "asleep" && this.#isQuiesced && this.#isListening() && this.#gate.isOpen(this.#queue);
  }

  /**
   * Notes that jobs may be ready. If it sleeps, other workers go first for `delayMs`, and then it
   * asks before it claims. It also asks first if its last wake-up was spurious.
   */
  wake(delayMs = 0): void {
    this.#awaitsPoll = false;
    this.#on({ on: "woken", now: performance.now(), delayMs });
  }

  /** Notes that something may have been missed. If it sleeps, it asks before it claims. */
  doubt(): void {
    this.#awaitsPoll = false;
    this.#on({ on: "unsure", now: performance.now() });
  }

  /**
   * Notes that it looks without notifications, or can take no job. Producers then need not notify.
   */
  stayAwake(): void {
    this.#on({ on: "nothing wanted" });
  }

  /**
   * Call it before each look. Returns undefined if it is time for one, or else when to call again.
   */
  async sleepOn(interruptions: Interruptions): Promise<Next | undefined> {
    this.#awaitsPoll = false;
    let { next } = this.#on({ on: "step", now: performance.now() });
    if (next === "ask") {
      const answer = await this.#ask(interruptions);
      ({ next } = this.#on({ on: "asked", now: performance.now(), answer }));
    }
    return this.#nextOf(next);
  }

  /**
   * Call it after a look that left no free job. Pass how many jobs it found. Returns when to look
   * again.
   */
  async rest(found: number, interruptions: Interruptions): Promise<Next> {
    const now = performance.now();
    if (found > 0) this.#arrivals.count(found, now);
    const isBusy = this.#arrivals.isBusy(now);
    let { next } = this.#on({ on: "claimed", now, found, isListening: this.#isListening(), isBusy });
    if (next === "settle") {
      const answer = await this.#settleDown(interruptions);
      ({ next } = this.#on({ on: "settled", now: performance.now(), found, claimedAt: now, answer }));
    }
    return this.#nextOf(next) ?? "again";
  }

  #on(event: IdleEvent): IdleAction {
    const { state, action } = transition(this.#state, event);
    this.#state = state;
    if (action.closesGate) this.#closeGate();
    return action;
  }

  /** Undefined if the loop is to go on with its step. */
  #nextOf(next: IdleAction["next"]): Next | undefined {
    this.#awaitsPoll = next === "until rung";
    return next === "claim" || next === "ask" || next === "settle" || next === "go on" ? undefined : next;
  }

  #closeGate(): void {
    this.#isQuiesced = false;
    if (this.#gate.isOpen(this.#queue)) this.#gate.close(this.#queue);
  }

  /**
   * Asks whether anything is ready, and goes to sleep if not. A question that fails is left to the
   * poll, which asks at once and then after growing rests. In an outage a thousand queues would
   * each do that, and log it.
   */
  async #ask(interruptions: Interruptions): Promise<Answer> {
    try {
      if (await this.#isAnyReady()) return "ready";
      return this.#isSettled ? "quiet" : await this.#settleDown(interruptions);
    } catch (error) {
      this.#logger.debug({ queue: this.#queue, error }, "could not ask for ready jobs: the poll will");
      return "unknown";
    }
  }

  /** Nothing is to be done before it sleeps: the gate is open, or nothing is announced anyway. */
  get #isSettled(): boolean {
    return !this.#isListening() || (this.#isQuiesced && this.#gate.isOpen(this.#queue));
  }

  async #settleDown({ rung, signal }: Interruptions): Promise<Exclude<Answer, "unknown">> {
    // Asks each time, because a look may have skipped a locked job whose claim is then undone.
    if (this.#isQuiesced && this.#gate.isOpen(this.#queue)) return (await this.#isAnyReady()) ? "ready" : "quiet";
    this.#isQuiesced = false; // true of a gate that was lost, it would be taken for true of the next if this throws
    let failure: unknown;
    const isAnyReady = () =>
      this.#isAnyReady().catch((error: unknown) => {
        failure = error;
        throw error;
      });
    try {
      const giveUp = AbortSignal.any([signal, AbortSignal.timeout(this.#patienceMs)]);
      const end = await fallAsleep(this.#gate, this.#queue, isAnyReady, { rung, signal: giveUp });
      this.#isQuiesced = end === "asleep";
      return end === "asleep" ? "quiet" : end;
    } catch (error) {
      if (error === failure) throw error;
      this.#logger.debug({ queue: this.#queue, error }, "could not fall asleep: will look again soon");
      return "no gate";
    }
  }
}
