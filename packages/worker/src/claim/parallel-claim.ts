import type { Logger } from "@hark/core";
import type { Slots } from "../run/slots.ts";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import type { WakeUp } from "../runtime/wake-up.ts";
import type { QueueClaim } from "./queue-claim.ts";

/**
 * A second claim is sent while one is running if at least this many jobs are wanted. Fewer jobs are
 * less work than a claim itself. With one at a time the server waited for the worker to read the
 * answer, and the worker for the server: of two cores a third was idle in a drain, and two at a
 * time did 53,000 jobs/s instead of 40,000 (2 x AMD EPYC). A worker of one slot claims once at a
 * time, so that it starts its jobs in order.
 */
const leastDemand = 100;

/** Claims in parallel to the claimer's own loop while the queue is deep. */
export class ParallelClaim implements Part {
  readonly #claims: QueueClaim;
  readonly #slots: Slots;
  readonly #claimer: WakeUp;
  readonly #loop: Loop;

  constructor(parts: {
    claims: QueueClaim;
    slots: Slots;
    /**
     * Wakes the claimer, which finds whatever else is wrong: a sleeping database, keys in the way.
     */
    claimer: WakeUp;
    logger: Logger;
  }) {
    this.#claims = parts.claims;
    this.#slots = parts.slots;
    this.#claimer = parts.claimer;
    this.#loop = new Loop({
      name: `parallel claim ${parts.slots.queue}`,
      logger: parts.logger,
      step: (signal) => this.#step(signal),
    });
    parts.slots.free.on(() => {
      if (this.#claims.isDeep) this.#loop.wakeUp.ring();
    });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    if (!this.#isWorthIt) return "until rung"; // a free slot rings
    try {
      const claimed = await this.#claims.claim(signal);
      return claimed && this.#claims.isDeep ? "again" : "until rung";
    } finally {
      this.#claimer.ring(); // the claimer may wait for this claim's jobs, and nothing else would wake it
    }
  }

  get #isWorthIt(): boolean {
    const { isDeep, isBestAlone } = this.#claims;
    return isDeep && !isBestAlone && !this.#slots.isSerial && this.#slots.demand >= leastDemand;
  }
}
