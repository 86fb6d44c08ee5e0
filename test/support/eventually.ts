import { setTimeout as sleep } from "node:timers/promises";

export interface EventuallyOptions {
  /** How long the fact may take, in ms. */
  withinMs: number;
  /** What should come true, for the error. */
  what?: string;
  /** Rest between two looks, in ms. */
  everyMs?: number;
}

/**
 * Waits for a fact, never for a while: answers what `check` answers once that is truthy. Throws when the time is over, with
 * what the last look threw as cause.
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
