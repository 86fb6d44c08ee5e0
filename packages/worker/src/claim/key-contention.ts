/**
 * For how long a claim that met another at the same key decides how claims are sent, in ms. To be
 * wrong once in this time costs one claim, and a line in the server's log.
 */
const rememberedMs = 600_000;

/**
 * Whether claims meet others that take the same keys at the same moment. The first such meeting may
 * be with a claim of this process, so that one claim at a time is enough. If another follows, it is
 * with another process.
 */
export class KeyContention {
  readonly #now: () => number;
  #aloneUntil = Number.NEGATIVE_INFINITY;
  #withOthersUntil = Number.NEGATIVE_INFINITY;

  /** `now` is in ms, and only ever grows. */
  constructor({ now = () => performance.now() }: { now?: () => number } = {}) {
    this.#now = now;
  }

  /** True if two claims at the same time would meet. */
  get isBestAlone(): boolean {
    return this.#now() < this.#aloneUntil;
  }

  /** True if claims are to step over the keys that others take, which costs 5 us a job. */
  get isWithOthers(): boolean {
    return this.#now() < this.#withOthersUntil;
  }

  /** A claim met another, and failed. */
  met(): void {
    const until = this.#now() + rememberedMs;
    if (this.isBestAlone) this.#withOthersUntil = until;
    this.#aloneUntil = until;
  }
}
