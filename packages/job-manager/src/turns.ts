import { setTimeout as sleep } from "node:timers/promises";
import { type Database, SnoozeError } from "@hark/core";
import { statements } from "@hark/core/internal";

/**
 * A job that has its turn within this time waits in its slot, in ms. For a later turn it goes back
 * to its queue, so that jobs of other hosts get the slot.
 */
const patienceMs = 250;

/**
 * How late a turn may be used, in ms, or a tenth of the delay if that is more. A process that stood
 * still would otherwise use its turn together with the next one's.
 */
const punctualMs = 50;

/**
 * Turns that one job may miss before it runs anyway: on a machine so slow, none would be used in
 * time.
 */
const mostMissed = 3;

/**
 * Gives jobs their turns at the hosts of their URLs: two jobs of one host start at least `delayMs`
 * apart, in whichever processes they run. hark.take_turn decides, by the database's clock.
 */
export class Turns {
  readonly #database: Database;
  readonly #delayMs: number;

  constructor(parts: { database: Database; delayMs: number }) {
    this.#database = parts.database;
    this.#delayMs = parts.delayMs;
  }

  /**
   * Resolves when a job may start.
   * @throws SnoozeError if its turn is later than a slot should wait: it comes back by then, and
   * the attempt does not count
   * @throws the signal's reason once it is aborted
   */
  async wait(job: { target_url: string; priority: number }, signal: AbortSignal): Promise<void> {
    if (this.#delayMs === 0) return;
    const { host } = new URL(job.target_url);
    for (let missed = 0; missed < mostMissed; missed += 1) {
      const askedAt = performance.now();
      const request = { host, priority: job.priority, delayMs: this.#delayMs, patienceMs };
      const { isGranted, waitMs } = (await statements.takeTurn(this.#database, request))[0]!;
      if (!isGranted) throw new SnoozeError(waitMs);
      if (waitMs > 0) await sleep(waitMs, undefined, { signal });
      signal.throwIfAborted();
      // Counted from the question: the database decided some time after it.
      const lateMs = performance.now() - askedAt - waitMs;
      if (lateMs <= Math.max(punctualMs, this.#delayMs / 10)) return;
    }
  }
}
