import type { Scheduler } from "fast-check";
import { type Random, randomFrom } from "../../support/random.ts";
import { type Happening, running, type Thread } from "./thread.ts";

/** More than any run needs: it spins. */
const mostHappenings = 150_000;

/**
 * A world of its own: one clock in whole ms, which moves when nothing is left to happen at a
 * moment; one source of random numbers; and what is to happen, in an order of fast-check's choice
 * where several things are due at once. Real time plays no part.
 */
export class World {
  now = 0;
  readonly random: Random;
  /** What happened, to read after a failure. */
  readonly #story: string[];
  readonly #order: Scheduler;
  #waiting: Happening[] = [];
  #number = 0;
  #failure: Error | undefined;
  /** What it stands still for. */
  #real: Promise<void>[] = [];

  constructor(seed: number, order: Scheduler, story: string[] = []) {
    this.#story = story;
    this.random = randomFrom(seed);
    this.#order = order;
  }

  /** Lets something happen after `ms`, to a thread if one is given. */
  in(ms: number, what: string, act: () => void, thread?: Thread): Happening {
    const happening = { at: this.now + Math.max(Math.trunc(ms), 0), number: (this.#number += 1), what, act, thread };
    push(this.#waiting, happening);
    return happening;
  }

  tell(what: string): void {
    this.#story.push(`${this.now} ${what}`);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  /**
   * Lets the world go on until `isOver`, asked after everything that happens, or until `at`. Throws
   * what `look` throws.
   */
  async goOn(until: { at: number; isOver?: () => boolean; look: () => void }): Promise<void> {
    let count = 0;
    await this.#settle();
    until.look();
    while (!until.isOver?.()) {
      const next = this.#waiting[0];
      if (!next || next.at > until.at) {
        this.now = until.at;
        return;
      }
      this.now = Math.max(this.now, next.at);
      do {
        const due: Happening[] = [];
        while (this.#waiting[0] && this.#waiting[0].at <= this.now) due.push(pop(this.#waiting)!);
        if (due.length > 1)
          for (const each of due)
            void this.#order.schedule(Promise.resolve(each), each.what).then((picked) => this.#happen(picked));
        for (let left = due.length; left > 0; left -= 1) {
          if (due.length > 1) await this.#order.waitOne();
          else this.#happen(due[0]!);
          await this.#settle();
          if (this.#failure) throw this.#failure;
          until.look();
          count += 1;
        }
        if (count > mostHappenings) throw new Error(`more than ${mostHappenings} things happened: something spins`);
      } while (this.#waiting[0] && this.#waiting[0].at <= this.now);
    }
  }

  #happen({ thread, what, act, ...when }: Happening): void {
    try {
      if (thread) thread.happens({ thread, what, act, ...when });
      else act();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Lets the world stand still until `work`, which takes real time, is done. */
  standStill(work: () => Promise<void>): void {
    this.#real.push(running.exit(work).catch((error: unknown) => this.fail(error)));
  }

  /** Until everything that what has happened set going has come to wait for the world. */
  async #settle(): Promise<void> {
    await endOfTurn();
    while (this.#real.length > 0) {
      await Promise.all(this.#real.splice(0));
      await endOfTurn();
    }
  }

  /** Ends the run: goOn() throws it. */
  fail(error: unknown): void {
    this.#failure ??= error as Error;
  }

  uuid(): string {
    const hex = () => this.between(0, 0xffff).toString(16).padStart(4, "0");
    return `${hex()}${hex()}-${hex()}-4${hex().slice(1)}-8${hex().slice(1)}-${hex()}${hex()}${hex()}`;
  }
}

const realSetImmediate = setImmediate;
const endOfTurn = () => new Promise<void>((resolve) => void realSetImmediate(resolve));

const isBefore = (one: Happening, other: Happening) =>
  one.at < other.at || (one.at === other.at && one.number < other.number);

/** A binary heap, the earliest first. */
function push(heap: Happening[], happening: Happening): void {
  let place = heap.push(happening) - 1;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (!isBefore(happening, heap[parent]!)) break;
    heap[place] = heap[parent]!;
    place = parent;
  }
  heap[place] = happening;
}

function pop(heap: Happening[]): Happening | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (heap.length === 0 || !last) return first;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
    if (!isBefore(heap[child]!, last)) break;
    heap[place] = heap[child]!;
    place = child;
  }
  heap[place] = last;
  return first;
}
