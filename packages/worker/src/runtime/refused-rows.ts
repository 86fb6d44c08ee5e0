import type { Logger } from "@hark/core";

/**
 * How long a row is left alone once the database has refused it, in ms; doubles with every refusal
 * up to the longest.
 */
const firstSilenceMs = 10_000;
const longestSilenceMs = 600_000;

/**
 * Jobs that the database refuses to move, because of a CHECK or a trigger of the application, or
 * because of damage on the disk. Each is left alone for a time, so that it neither blocks the
 * others nor costs a statement every time. Then it is tried again, as the cause may be gone. Kept
 * in memory: another process finds out by itself (docs/decisions/0018).
 */
export class RefusedRows {
  readonly #logger: Logger;
  readonly #rows = new Map<bigint, { silenceMs: number; againAt: number }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Returns the rows to leave out at `now`, in ms of the process clock. */
  ids(now: number = performance.now()): bigint[] {
    const ids: bigint[] = [];
    for (const [id, { againAt }] of this.#rows) {
      if (now < againAt) ids.push(id);
      else if (now >= againAt + longestSilenceMs) this.#rows.delete(id); // not refused since: it has moved
    }
    return ids;
  }

  /**
   * Leaves a job alone for a while from now on, and logs why. `message` says what happens to it.
   */
  leaveAlone(id: bigint, error: unknown, message: string): void {
    this.#logger.error({ jobId: id, error, againInMs: this.add(id) }, message);
  }

  /** Remembers that a row was refused. Returns for how long it is left alone, in ms. */
  add(id: bigint, now: number = performance.now()): number {
    const before = this.#rows.get(id);
    const silenceMs = before ? Math.min(before.silenceMs * 2, longestSilenceMs) : firstSilenceMs;
    this.#rows.set(id, { silenceMs, againAt: now + silenceMs });
    return silenceMs;
  }
}
