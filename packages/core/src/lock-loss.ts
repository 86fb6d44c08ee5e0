import { LockLostError } from "./errors/index.ts";

/**
 * How much of its time before expiry a holder is told to stop: a tenth, at most a second, by the
 * monotonic clock (FM-55).
 */
const marginOf = (ttlMs: number) => Math.min(1_000, ttlMs / 10);

/**
 * Tells the holder of a lock that the lock may be lost. Its signal and its timer are made only when
 * the signal is asked for: with a timer of its own, each lock would stay in memory until its time
 * is up, also after a release by its token alone, as PostgresQueue.releaseLock() does.
 */
export class LockLoss {
  readonly #key: string;
  readonly #fence: bigint;
  #controller: AbortController | undefined;
  #alarm: NodeJS.Timeout | undefined;
  /** When the holder must stop, by performance.now(). */
  #stopsAt = Number.POSITIVE_INFINITY;
  #isLost = false;

  constructor(key: string, fence: bigint) {
    this.#key = key;
    this.#fence = fence;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      this.#arm();
    }
    return this.#controller.signal;
  }

  /**
   * The lock was granted or renewed for `ttlMs` by a query that began at `askedAtMs` of
   * performance.now(). The database counted from some later moment, so this errs on the safe side.
   */
  granted(askedAtMs: number, ttlMs: number): void {
    this.#stopsAt = askedAtMs + ttlMs - marginOf(ttlMs);
    if (this.#controller) this.#arm();
  }

  /** The database says that the lock is no longer held. */
  lost(): void {
    this.#isLost = true;
    if (this.#controller) this.#arm();
  }

  /** The holder gives the lock up, and needs no alarm. What was lost before stays lost. */
  released(): void {
    clearTimeout(this.#alarm);
    this.#isLost ||= performance.now() >= this.#stopsAt;
    this.#stopsAt = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    clearTimeout(this.#alarm);
    const leftMs = this.#stopsAt - performance.now();
    if (this.#isLost || leftMs <= 0) this.#abort();
    else if (Number.isFinite(leftMs)) this.#alarm = setTimeout(() => this.#abort(), leftMs).unref();
  }

  #abort(): void {
    this.#controller?.abort(new LockLostError(this.#key, this.#fence));
  }
}
