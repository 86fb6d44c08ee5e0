import { FalseAlarms } from "@hark/core";
import type { Loop } from "../runtime/loop.ts";

/**
 * What a scheduler's loop hears between its steps. Anyone may send notifications (FM-45, SEC-06),
 * and true ones are far between: so every step that one asked for counts as a false alarm, whatever
 * it finds.
 */
export class News {
  readonly #alarms = new FalseAlarms();
  #isAny = false;

  /** A notification asks for a step; undefined says that some may have been missed. */
  heard(payload: string | undefined, loop: Loop): void {
    this.#isAny = true;
    loop.wakeUp.ring();
    if (payload === undefined) loop.retry(); // the listener is back, and so is the database
  }

  /** Whether anything was heard since the last pause. */
  get isAny(): boolean {
    return this.#isAny;
  }

  /** Before a step that was asked for: waits while too many were. */
  async pause(signal: AbortSignal): Promise<void> {
    this.#isAny = false; // before the pause: what is heard during it asks for another look, and that one has to pause too
    await this.#alarms.pause(signal);
    this.#alarms.count();
  }
}
