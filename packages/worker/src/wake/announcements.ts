import { WakeUpLimiter } from "@hark/core/internal";
import type { Loop } from "../runtime/loop.ts";

/**
 * Notifications that ask a loop for a step, as far as it has not met them yet. Anyone may send
 * notifications (FM-45, SEC-06), and true ones are far between here: so every step that one asked
 * for counts as spurious, whatever it finds.
 */
export class Announcements {
  readonly #limiter = new WakeUpLimiter();
  #isAny = false;

  /** A notification asks for a step; undefined says that some may have been missed. */
  heard(payload: string | undefined, loop: Loop): void {
    this.#isAny = true;
    loop.wakeUp.ring();
    if (payload === undefined) loop.retry(); // the listener is back, and so is the database
  }

  /** Call it at the start of a step: waits if a notification asked for it and too many did. */
  async pause(signal: AbortSignal): Promise<void> {
    if (!this.#isAny) return;
    this.#isAny = false; // before the pause: what is heard during it asks for another look, and that one has to pause too
    await this.#limiter.pause(signal);
    this.#limiter.countSpurious();
  }
}
