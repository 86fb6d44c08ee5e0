import { AsyncLocalStorage } from "node:async_hooks";
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import type { Scheduler } from "fast-check";
import { type Random, randomFrom } from "../../support/random.ts";

/** Whose code runs: a thread of a simulated process. What it asks the clock, the timers and the dice for is the world's. */
export class Thread {
  readonly world: World;
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

  constructor(world: World, name: string) {
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

interface Happening {
  readonly at: number;
  /** Tells in which order what is due at one moment was decided. */
  readonly number: number;
  readonly what: string;
  readonly act: () => void;
  readonly thread: Thread | undefined;
}

/** More than any run needs: it spins. */
const mostHappenings = 150_000;

/**
 * A world of its own: one clock in whole ms, which moves when nothing is left to happen at a moment; one source of random numbers;
 * and what is to happen, in an order of fast-check's choice where several things are due at once. Real time plays no part.
 */
export class World {
  now = 0;
  readonly random: Random;
  /** What happened, for people who look at a failure. */
  readonly #story: string[];
  readonly #order: Scheduler;
  #waiting: Happening[] = [];
  #number = 0;
  #failure: Error | undefined;

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

  /** Lets the world go on until `isOver`, asked after everything that happens, or until `at`. Throws what `look` throws. */
  async goOn(until: { at: number; isOver?: () => boolean; look: () => void }): Promise<void> {
    let count = 0;
    await settle();
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
          await settle();
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

  /** Ends the run: goOn() throws it. */
  fail(error: unknown): void {
    this.#failure ??= error as Error;
  }

  uuid(): string {
    const hex = () => this.between(0, 0xffff).toString(16).padStart(4, "0");
    return `${hex()}${hex()}-${hex()}-4${hex().slice(1)}-8${hex().slice(1)}-${hex()}${hex()}${hex()}`;
  }
}

const running = new AsyncLocalStorage<Thread>();
const endOfTurn = setImmediate;

/** Until everything that what has happened set going has come to wait for the world. */
const settle = () => running.exit(() => new Promise<void>((resolve) => void endOfTurn(resolve)));

/** A timer of a simulated thread. */
class Timer {
  readonly #thread: Thread;
  readonly #act: () => void;
  readonly #everyMs: number | undefined;
  #isSet = true;

  constructor(thread: Thread, act: () => void, ms: number, isRepeated = false) {
    this.#thread = thread;
    this.#act = act;
    this.#everyMs = isRepeated ? ms : undefined;
    thread.timers += 1;
    this.#start(ms);
  }

  #start(ms: number): void {
    this.#thread.world.in(ms, "timer", () => this.#fire(), this.#thread);
  }

  #fire(): void {
    if (!this.#isSet) return;
    if (this.#everyMs === undefined) this.clear();
    else this.#start(this.#everyMs);
    this.#act();
  }

  clear(): void {
    if (this.#isSet) this.#thread.timers -= 1;
    this.#isSet = false;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/** As Node has it: at least 1 ms, in whole ones. */
const timerMs = (ms: number | undefined) => (ms !== undefined && ms >= 1 ? ms : 1);

/**
 * Puts the simulated clock, timers and dice in the place of Node's, for what runs in a simulated {@link Thread} only; everything else
 * goes on with the real ones. Vitest's fake timers would wait a real millisecond for each, and know one thread and one order only.
 */
export function takeOver(): Disposable {
  const undo: (() => void)[] = [];
  const replace = (object: object, name: string, inWorld: (thread: Thread, ...given: any[]) => unknown) => {
    const before = Object.getOwnPropertyDescriptor(object, name);
    const original = (object as Record<string, (...given: any[]) => unknown>)[name]!;
    const value = function (this: unknown, ...given: any[]) {
      const thread = running.getStore();
      return thread ? inWorld(thread, ...given) : original.apply(this, given);
    };
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
    undo.push(() => {
      if (before) Object.defineProperty(object, name, before);
      else delete (object as Record<string, unknown>)[name];
    });
  };
  /** Clears one of ours wherever it is called from, as in a callback of fast-check's. */
  const replaceClear = (name: "clearTimeout" | "clearInterval" | "clearImmediate") => {
    const original = globalThis[name] as (timer: unknown) => void;
    globalThis[name] = (timer: unknown) => (timer instanceof Timer ? timer.clear() : original(timer));
    undo.push(() => void (globalThis[name] = original as never));
  };

  replace(globalThis, "setTimeout", (thread, act, ms, ...given) => new Timer(thread, () => act(...given), timerMs(ms)));
  replace(
    globalThis,
    "setInterval",
    (thread, act, ms, ...given) => new Timer(thread, () => act(...given), timerMs(ms), true),
  );
  replace(globalThis, "setImmediate", (thread, act, ...given) => new Timer(thread, () => act(...given), 0));
  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"] as const) replaceClear(name);
  replace(
    timersPromises,
    "setTimeout",
    (thread, ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const stop = () => {
          timer.clear();
          reject(signal!.reason);
        };
        const timer = new Timer(
          thread,
          () => (signal?.removeEventListener("abort", stop), resolve(value)),
          timerMs(ms),
        );
        signal?.addEventListener("abort", stop, { once: true });
      }),
  );
  replace(AbortSignal, "timeout", (thread, ms: number) => {
    const controller = new AbortController();
    // No timer of the code under test: nobody can clear it, in Node either.
    thread.world.in(ms, "timeout", () => controller.abort(new DOMException("late", "TimeoutError")), thread);
    return controller.signal;
  });
  replace(performance, "now", ({ world }) => world.now);
  replace(process.hrtime, "bigint", ({ world }) => BigInt(Math.round(world.now * 1e6)));
  replace(Math, "random", ({ world }) => world.random());
  replace(crypto, "randomUUID", ({ world }) => world.uuid());
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]() {
      for (const each of undo.toReversed()) each();
      syncBuiltinESMExports();
    },
  };
}

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
