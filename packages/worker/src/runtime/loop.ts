import type { Logger } from "@hark/core";
import { backoffMs, jitter, orLate } from "@hark/core/internal";
import type { Part } from "./part.ts";
import { sleep } from "./sleep.ts";
import { WakeUp } from "./wake-up.ts";

/**
 * When the next step comes: "again" at once, "rest" after the usual interval, "until rung" at the
 * next ring however long it takes, or after `restMs`. A ring ends a rest, unless the rest is
 * uninterruptible. That is for short rests while rings come so often that the steps would follow
 * each other without a pause.
 */
export type Next = "again" | "rest" | "until rung" | { readonly restMs: number; readonly isUninterruptible?: true };

export interface LoopOptions {
  name: string;
  /**
   * Its signal is aborted when the loop stops, and when the step took so long that the loop went on
   * without it.
   */
  step: (signal: AbortSignal) => Promise<Next>;
  /** How long "rest" is when nothing rings, in ms, varied by a tenth. Default: until a ring. */
  restMs?: number;
  logger: Logger;
}

/**
 * A step that has not ended after this long is given up, in ms (FM-08): above every query's own
 * deadline.
 */
const stepDeadlineMs = 30_000;

/**
 * After a failed step: 0.1, 0.2, 0.4 ... 5 s, half of it random, so that many workers do not come
 * back at once.
 */
const afterFailure = { baseMs: 100, factor: 2, capMs: 5_000, jitter: 0.5 };

/**
 * Repeats a step until stopped: at once on "again", after a rest otherwise, backing off on errors.
 */
export class Loop implements Part {
  readonly wakeUp: WakeUp = new WakeUp();
  readonly #options: LoopOptions;
  readonly #retried: WakeUp = new WakeUp();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #failures = 0;
  /** Failures since the last call of retry(). Only they lengthen the rest after a failure. */
  #failuresSinceRetry = 0;
  #restarts = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Failed steps in a row; 0 while all is well. */
  get failures(): number {
    return this.#failures;
  }

  /** Steps that were given up because they hung. */
  get restarts(): number {
    return this.#restarts;
  }

  /**
   * What failed the last step may be mended, as when the database is back. A rest after a failure
   * ends at once, and the next rests are short again: the next step may meet one more connection
   * that died in the outage, and must not rest for as long as the outage lasted.
   */
  retry(): void {
    this.#failuresSinceRetry = 0;
    this.#retried.ring();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { name, restMs, logger } = this.#options;
    const stopping = this.#stopping.signal;
    while (!stopping.aborted) {
      const rung = this.wakeUp.arm(); // before the step, or a ring during it would be lost
      const retried = this.#retried.arm();
      try {
        const next = await this.#step();
        this.#failures = this.#failuresSinceRetry = 0;
        if (next === "again") continue;
        const rest = next === "rest" && restMs !== undefined ? { restMs: jitter(restMs) } : next;
        if (typeof rest === "string") await rungOrStopped(rung, stopping);
        else await sleep(rest.restMs, { signal: stopping, ...(!rest.isUninterruptible && { until: rung }) });
      } catch (error) {
        this.#failures += 1;
        this.#failuresSinceRetry += 1;
        logger.error({ loop: name, error, failures: this.#failures }, "step failed, will try again");
        await sleep(backoffMs(afterFailure, this.#failuresSinceRetry), { signal: stopping, until: retried });
      }
    }
  }

  async #step(): Promise<Next> {
    const given = new AbortController();
    const pass = () => given.abort();
    this.#stopping.signal.addEventListener("abort", pass);
    try {
      const answer = await orLate(this.#options.step(given.signal), stepDeadlineMs);
      if (answer !== "late") return answer;
      this.#restarts += 1;
      throw new Error(`no answer after ${stepDeadlineMs} ms`);
    } finally {
      this.#stopping.signal.removeEventListener("abort", pass);
      given.abort();
    }
  }
}

/**
 * Resolves at the ring or the stop, without a timer: a worker may have a thousand loops at rest.
 */
function rungOrStopped(rung: Promise<void>, stopping: AbortSignal): Promise<void> {
  if (stopping.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = () => {
      stopping.removeEventListener("abort", wake);
      resolve();
    };
    stopping.addEventListener("abort", wake);
    void rung.then(wake);
  });
}
