import { setTimeout as sleep } from "node:timers/promises";

/** Looks that found nothing and go unpunished: at once after a rest, and in a second. */
const burst = 100;
const perSecond = 50;

/**
 * Bounds what false alarms cost: anyone may send notifications (FM-45, SEC-06). Each look that was asked for by one and found
 * nothing is counted; above 50 a second the next waits, for 20 ms at most. Looks that find something are never held up.
 */
export class FalseAlarms {
  #left = burst;
  #countedAt = performance.now();

  /** A look that a notification asked for found nothing. */
  count(): void {
    this.#fill();
    this.#left -= 1;
  }

  /** Before a look that a notification asks for: resolves at once, or when one more false alarm may be borne. */
  async pause(signal?: AbortSignal): Promise<void> {
    this.#fill();
    if (this.#left >= 1) return;
    const waitMs = Math.ceil(((1 - this.#left) / perSecond) * 1_000);
    await sleep(waitMs, undefined, { ...(signal && { signal }) }).catch(() => {}); // stopped: whoever asked sees it
  }

  #fill(): void {
    const now = performance.now();
    this.#left = Math.min(this.#left + ((now - this.#countedAt) / 1_000) * perSecond, burst);
    this.#countedAt = now;
  }
}
