import { AsyncLocalStorage } from "node:async_hooks";
import type { Random } from "../../support/random.ts";

export interface Happening {
  readonly at: number;
  /** Tells in which order what is due at one moment was decided. */
  readonly number: number;
  readonly what: string;
  readonly act: () => void;
  readonly thread: Thread | undefined;
}

/** What a thread asks of its world. */
export interface Surroundings {
  readonly now: number;
  readonly random: Random;
  /** Lets something happen to a thread after `ms`. */
  in(ms: number, what: string, act: () => void, thread?: Thread): unknown;
  uuid(): string;
}

/** The simulated thread whose code runs; none while the simulation's own does. */
export const running = new AsyncLocalStorage<Thread>();

/**
 * Whose code runs: a thread of a simulated process. What it asks the clock, the timers and the dice
 * for is the world's.
 */
export class Thread {
  readonly world: Surroundings;
  readonly name: string;
  state: "running" | "frozen" | "ended" = "running";
  /** Since when it is frozen, and for how long it has been in all, in ms. */
  frozenAt = 0;
  #frozenMs = 0;
  /** Freezes that have not thawed: a process may be stopped while its event loop is blocked. */
  #freezes = 0;
  /** Timers of the code under test that are set. */
  timers = 0;
  #held: Happening[] = [];

  constructor(world: Surroundings, name: string) {
    this.world = world;
    this.name = name;
  }

  get frozenMs(): number {
    return this.#frozenMs + (this.state === "frozen" ? this.world.now - this.frozenAt : 0);
  }

  /** As by SIGSTOP, or by a handler that blocks the event loop: what happens to it waits. */
  freeze(): void {
    this.#freezes += 1;
    if (this.state !== "running") return;
    this.state = "frozen";
    this.frozenAt = this.world.now;
  }

  thaw(): void {
    this.#freezes -= 1;
    if (this.state !== "frozen" || this.#freezes > 0) return;
    this.#frozenMs = this.frozenMs;
    this.state = "running";
    for (const { what, act } of this.#held.splice(0)) this.world.in(0, what, act, this);
  }

  end(): void {
    this.state = "ended";
    this.#held = [];
  }

  run<Answer>(act: () => Answer): Answer {
    return running.run(this, act);
  }

  happens(happening: Happening): void {
    if (this.state === "ended") return;
    if (this.state === "frozen") this.#held.push(happening);
    else this.run(happening.act);
  }
}
