import type { statements } from "@hark/core/internal";

/**
 * How long a claim's answer that no other worker lives is believed, in ms. Busy workers claim every
 * 10 ms.
 */
const believedMs = 100;

/**
 * After a claim met another at a key, for how long claims expect others whatever they are told, in
 * ms.
 */
const rememberedMs = 60_000;

/** How long a queue counts as one of jobs with keys after the last of them, in ms. */
const keysForMs = 10_000;

/**
 * Whether claims have to do with keys, and whether other workers may take the same keys at the same
 * moment. A claim that steps over such keys costs 5 us more for each job; one that does not is
 * rejected there, which costs a claim and an error in the server's log.
 */
export class KeyedClaims {
  readonly #now: () => number;
  #aloneUntil = Number.NEGATIVE_INFINITY;
  #metUntil = Number.NEGATIVE_INFINITY;
  #keysUntil = Number.NEGATIVE_INFINITY;

  /** `now` is in ms, and only ever grows. */
  constructor({ now = () => performance.now() }: { now?: () => number } = {}) {
    this.#now = now;
  }

  /** True if jobs with keys have come lately. */
  get areExpected(): boolean {
    return this.#now() < this.#keysUntil;
  }

  /** True unless the last claim has just told that this worker is alone. */
  get mayMeetOthers(): boolean {
    const now = this.#now();
    return now < this.#metUntil || now >= this.#aloneUntil;
  }

  /** A claim that began at `startedAt` was answered. */
  answered(
    {
      jobs,
      blockedKeys,
      hasOthers,
      isDeferred,
    }: Pick<statements.ClaimAnswer, "jobs" | "blockedKeys" | "hasOthers" | "isDeferred">,
    startedAt: number,
  ): void {
    if (!isDeferred) this.#aloneUntil = hasOthers ? Number.NEGATIVE_INFINITY : startedAt + believedMs;
    if (blockedKeys.length > 0 || jobs.some(({ key }) => key !== undefined)) this.#keysUntil = startedAt + keysForMs;
  }

  /** A claim met another at a key, and failed. */
  met(): void {
    this.#metUntil = this.#now() + rememberedMs;
  }
}
