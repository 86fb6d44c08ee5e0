import type { Logger } from "@hark/core";

/** Least time between two log lines of a kind, in ms (FM-09). */
const quietMs = 1_000;

/**
 * Writes at most one line a second of each kind, so that an outage fills no log. A logger that
 * throws does no harm.
 */
export class RateLimitedLog {
  readonly #logger: Logger;
  readonly #loggedAt = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  write(level: "info" | "warn" | "error", kind: string, facts: object, message: string): void {
    const now = performance.now();
    if (now - (this.#loggedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
    this.#loggedAt.set(kind, now);
    try {
      this.#logger[level](facts, message);
    } catch {
      // a logger that throws must not end what wrote the line
    }
  }
}
