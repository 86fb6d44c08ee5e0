import { setTimeout as sleep } from "node:timers/promises";

/** Spurious wake-ups that are answered at once: at once after a rest, and in a second. */
const burst = 100;
const perSecond = 50;

/**
 * Bounds what spurious wake-ups cost: anyone may send notifications (FM-45, SEC-06). Each look that
 * a notification asked for and that found nothing is counted; above 50 a second the next look
 * waits, for 20 ms at most. Looks that find something are never held up.
 */
export class WakeUpLimiter {
  #left = burst;
  #countedAt = performance.now();

  /** A look that a notification asked for found nothing. */
  countSpurious(): void {
    this.#fill();
    this.#left -= 1;
  }

  /**
   * Call it before a look that a notification asks for: resolves at once, or when one more spurious
   * wake-up may be answered.
   */
  async pause(signal?: AbortSignal): Promise<void> {
    this.#fill();
    if (this.#left >= 1) return;
    const waitMs = Math.ceil(((1 - this.#left) / perSecond) * 1_000);
    await sleep(waitMs, undefined, { ...(signal && { signal }) }).catch(() => {}); // stopped: the caller sees it
  }

  #fill(): void {
    const now = performance.now();
    this.#left = Math.min(this.#left + ((now - this.#countedAt) / 1_000) * perSecond, burst);
    this.#countedAt = now;
  }
}
