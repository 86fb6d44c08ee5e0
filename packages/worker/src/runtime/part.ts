/**
 * A piece of the runtime that starts and stops; either may be left out. A part uses only parts that
 * were built before it: see build-worker.ts.
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
   * How long stop() waits for them before it goes on without them, in ms; until they have stopped
   * if not given.
   */
  readonly stopWithinMs?: number;
}
