import { setTimeout as sleep } from "node:timers/promises";

export interface EventuallyOptions {
  /** How long it may take until the fact is true, in ms. */
  withinMs: number;
  /** What should become true, for the error message. */
  what?: string;
  /** The pause between two checks, in ms. */
  everyMs?: number;
}

/**
 * Waits until a fact is true, never for a fixed time. Returns the result of `check` once that is
 * truthy. Throws after `withinMs`, with the error of the last check as cause.
 */
export async function eventually<Fact>(
  check: () => Fact | Promise<Fact>,
  { withinMs, what = "the fact", everyMs = 5 }: EventuallyOptions,
): Promise<NonNullable<Fact>> {
  const endsAt = performance.now() + withinMs;
  for (;;) {
    let cause: unknown;
    try {
      const fact = await check();
      if (fact) return fact;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= endsAt) throw new Error(`${what} did not come true within ${withinMs} ms`, { cause });
    await sleep(everyMs);
  }
}
