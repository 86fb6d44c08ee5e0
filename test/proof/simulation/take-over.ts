import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import { running, type Thread } from "./thread.ts";

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
 * Puts the simulated clock, timers and dice in the place of Node's, for what runs in a simulated
 * {@link Thread} only; everything else goes on with the real ones. Vitest's fake timers would wait
 * a real millisecond for each, and know one thread and one order only.
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
