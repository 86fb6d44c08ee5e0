import type { Logger } from "@hark/core";
import { orLate } from "@hark/core/internal";
import type { Part } from "../runtime/part.ts";
import type { Settler } from "../settle/settler.ts";
import type { Attempts } from "./attempts.ts";
import type { Executor } from "./executor.ts";

/**
 * Ends the running jobs when the worker stops. Waits for them within the drain time, then aborts
 * the others and has them handed back. Resolves once the last outcome was written or given up.
 */
export class Drain implements Part {
  readonly #attempts: Attempts;
  readonly #executor: Executor;
  readonly #settler: Settler;
  readonly #drainMs: number;
  readonly #abandonMs: number;
  readonly #logger: Logger;
  readonly #hurry = Promise.withResolvers<void>();

  constructor(parts: {
    attempts: Attempts;
    executor: Executor;
    settler: Settler;
    /** How long running jobs may go on, from when the whole stop began. */
    drainMs: number;
    /** How long aborted jobs and their outcomes may take. */
    abandonMs: number;
    logger: Logger;
  }) {
    this.#attempts = parts.attempts;
    this.#executor = parts.executor;
    this.#settler = parts.settler;
    this.#drainMs = parts.drainMs;
    this.#abandonMs = parts.abandonMs;
    this.#logger = parts.logger;
  }

  /** Skips the drain time, also that of a running stop. */
  hurry(): void {
    this.#hurry.resolve();
  }

  async stop(since: number = performance.now()): Promise<void> {
    const drained = this.#executor.stop().then(() => "drained" as const);
    const drainMs = Math.max(since + this.#drainMs - performance.now(), 0);
    if ((await Promise.race([orLate(drained, drainMs), this.#hurry.promise])) === "drained") return;
    this.#logger.warn({ running: this.#attempts.size }, "running jobs are aborted, to be handed back");
    this.#executor.abortAll("stopping");
    this.#settler.lastCall(); // a refused outcome could wait longer than the stop
    // An attempt abandons a handler that ignores its signal. Then the settler has every outcome.
    if ((await orLate(drained, this.#abandonMs)) === "late") this.#settler.abandon();
  }
}
