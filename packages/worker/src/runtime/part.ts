/**
 * A piece of the runtime that can be started and stopped. Both functions are optional. A part uses
 * only parts that were built before it: see build-worker.ts.
 */
export interface Part {
  start?(): void | Promise<void>;
  /**
   * Resolves when nothing of the part runs any more. `since` is when the whole stop began, in ms of
   * performance.now().
   */
  stop?(since: number): Promise<void>;
}

/** Parts that start one after the other and stop together. */
export interface Stage {
  readonly parts: readonly Part[];
  /**
   * How long stop() waits for them before it continues, in ms. Default: as long as is left of the
   * time for the whole stop.
   */
  readonly stopWithinMs?: number;
}
