import { jitter } from "@hark/core/internal";
import { sleep } from "../runtime/sleep.ts";
import { WakeUp } from "../runtime/wake-up.ts";

/**
 * Transactions that wrote to the table of waiting jobs when a queue was opened, and may not have
 * seen that it is open.
 */
export type Writers = readonly string[];

/**
 * Rest between two looks at the writers: this share of the time they have been waited for, so that
 * a job starts at most that much later than its transaction allowed. The bounds, in ms, are about a
 * short commit, and four looks a second for a very long one.
 */
const quiesceRest = { share: 1 / 8, leastMs: 2, mostMs: 250 };

interface Wait {
  readonly writers: Writers;
  readonly since: number;
  readonly resolve: (left: Writers) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Waits for transactions to end, for all queues of a worker at once: the looks come as often as the
 * latest wait asks for, whatever the number of queues.
 */
export class WriterWatch {
  readonly #stillWriting: (writers: Writers) => Promise<Writers>;
  readonly #changed = new WakeUp();
  readonly #waits = new Set<Wait>();
  #isLooking = false;

  constructor(stillWriting: (writers: Writers) => Promise<Writers>) {
    this.#stillWriting = stillWriting;
  }

  /**
   * Resolves with those of the writers, at least one, that still write as soon as some have ended.
   * Rejects if they cannot be asked for. `since` is when they began to be waited for, by
   * performance.now(). Call `leave` to wait no longer.
   */
  someEnded(writers: Writers, since: number): { readonly left: Promise<Writers>; readonly leave: () => void } {
    const { promise, resolve, reject } = Promise.withResolvers<Writers>();
    const wait = { writers, since, resolve, reject };
    this.#waits.add(wait);
    this.#changed.ring();
    if (!this.#isLooking) void this.#look();
    const leave = () => {
      if (this.#waits.delete(wait) && this.#waits.size === 0) this.#changed.ring(); // no timer stays behind
    };
    return { left: promise, leave };
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    for (;;) {
      await this.#rest();
      const waits = [...this.#waits];
      if (waits.length === 0) break;
      try {
        const open = new Set(await this.#stillWriting([...new Set(waits.flatMap(({ writers }) => writers))]));
        for (const wait of waits) {
          const left = wait.writers.filter((writer) => open.has(writer));
          if (left.length < wait.writers.length) this.#end(wait, () => wait.resolve(left));
        }
      } catch (error) {
        for (const wait of waits) this.#end(wait, () => wait.reject(error));
      }
    }
    this.#isLooking = false;
  }

  #end(wait: Wait, tell: () => void): void {
    if (this.#waits.delete(wait)) tell();
  }

  /** Until the next look is due, or nobody waits. A wait that joins may bring it forward. */
  async #rest(): Promise<void> {
    let dueAt = Number.POSITIVE_INFINITY;
    while (this.#waits.size > 0) {
      const now = performance.now();
      dueAt = Math.min(dueAt, now + this.#restMs());
      if (dueAt <= now) return;
      await sleep(dueAt - now, { until: this.#changed.arm() });
      if (performance.now() >= dueAt) return;
    }
  }

  #restMs(): number {
    const latest = Math.max(...[...this.#waits].map(({ since }) => since));
    const { share, leastMs, mostMs } = quiesceRest;
    return jitter(Math.min(Math.max((performance.now() - latest) * share, leastMs), mostMs));
  }
}
