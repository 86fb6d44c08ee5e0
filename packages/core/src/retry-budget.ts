import type { Outcome } from "./outcome.ts";

/** Retries are counted by the slot of time they are due in, this long, in ms. */
const slotMs = 250;

/**
 * Slots over which many retries are spread: 20 s, so that any one second meets five slots of
 * eighty, a sixteenth of them. A tenth is allowed (FM-29), and who stood still for half a second
 * starts at once what fell due meanwhile.
 */
const spreadSlots = 80;

/** Retries that each slot takes whatever was there: 20 a second, which are no storm. */
const freeOfEachSlot = 5;

/**
 * Longer waits are not counted but varied by chance, in ms: the spread is less than a hundredth of
 * them.
 */
const longestCountedMs = 3_600_000;

/** How much longer than asked for a retry waits at most, in ms. */
export const longestStretchMs: number = spreadSlots * slotMs;

/**
 * One queue's retries of one process, kept apart: a slot that has had its share of those due about
 * then sends the next one to a later slot. So an outage of what jobs call is not followed by all of
 * them at once (FM-29), and 20 retries a second wait as long as their backoff says. Every process
 * spreads its own, which keeps their sum spread. See docs/decisions/0022.
 */
export class RetryBudget {
  /** Retries by their slot, which counts from the start of the process. */
  readonly #due = new Map<number, number>();
  readonly #now: () => number;
  readonly #random: () => number;
  #forgottenTo = 0;

  constructor({ now = () => performance.now(), random = Math.random } = {}) {
    this.#now = now;
    this.#random = random;
  }

  /**
   * Returns the outcome; if it is the retry of an attempt that failed, it is counted, and waits as
   * long as {@link spend} says.
   */
  spread(outcome: Outcome): Outcome {
    if (outcome.state !== "scheduled" || outcome.error === null) return outcome; // snoozed, or given back
    return { ...outcome, delayMs: this.spend(outcome.delayMs) };
  }

  /**
   * Counts a retry that is to wait `delayMs`, and returns how long it shall wait, in ms: as asked
   * for, or up to {@link longestStretchMs} longer.
   */
  spend(delayMs: number): number {
    if (delayMs > longestCountedMs) return delayMs + this.#random() * longestStretchMs;
    const now = this.#now();
    this.#forget(Math.floor(now / slotMs));

    const wanted = Math.floor((now + delayMs) / slotMs);
    let near = 1; // this one
    for (let slot = wanted; slot < wanted + spreadSlots; slot += 1) near += this.#dueIn(slot);
    const share = Math.max(near / spreadSlots, freeOfEachSlot);
    let slot = wanted;
    while (this.#dueIn(slot) >= share) slot += 1; // not all can be full: they would hold this one already

    this.#due.set(slot, this.#dueIn(slot) + 1);
    return slot === wanted ? delayMs : (slot + this.#random()) * slotMs - now;
  }

  #dueIn(slot: number): number {
    return this.#due.get(slot) ?? 0;
  }

  /** Drops the slots that are over, once in a while. */
  #forget(current: number): void {
    if (current < this.#forgottenTo + spreadSlots) return;
    this.#forgottenTo = current;
    for (const slot of this.#due.keys()) if (slot < current) this.#due.delete(slot);
  }
}
