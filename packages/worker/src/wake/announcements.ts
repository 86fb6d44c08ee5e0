import { WakeUpLimiter } from "@hark/core/internal";
import type { Loop } from "../runtime/loop.ts";

/**
 * Notifications that ask a loop for a step and that it has not handled yet. Anyone may send
 * notifications (FM-45, SEC-06), and real ones are rare here. So every step that a notification
 * asked for counts as spurious, whatever it finds.
 */
export class Announcements {
  readonly #limiter = new WakeUpLimiter();
  #isAny = false;

  /** A notification asks for a step. Undefined means that some may have been missed. */
  heard(payload: string | undefined, loop: Loop): void {
    this.#isAny = true;
    loop.wakeUp.ring();
    if (payload === undefined) loop.retry(); // the listener is back, and so is the database
  }

  /** Call it at the start of a step. Waits if too many notifications asked for steps. */
  async pause(signal: AbortSignal): Promise<void> {
    if (!this.#isAny) return;
    this.#isAny = false; // before the pause: a notification during it asks for another step, which must pause too
    await this.#limiter.pause(signal);
    this.#limiter.countSpurious();
  }
}
