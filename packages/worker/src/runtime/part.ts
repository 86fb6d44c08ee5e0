/**
 * A piece of the runtime that can be started and stopped. Both functions are optional. A part uses
 * only parts that were built before it: see build-worker.ts.
 */
export interface Part {
  start?(): void | Promise<void>;
  /** Resolves when nothing of the part runs any more. */
  stop?(): Promise<void>;
}

/** Parts that start one after the other and stop together. */
export interface Stage {
  readonly parts: readonly Part[];
  /**
   * How long stop() waits for them before it continues, in ms. Default: until they have stopped.
   */
  readonly stopWithinMs?: number;
}
