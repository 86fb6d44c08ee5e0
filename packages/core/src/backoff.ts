import { checkOptions, type OptionKinds } from "./check-options.ts";
import { jitter, type Duration, parseDuration } from "./clock.ts";
import { quote } from "./errors/hark-error.ts";
import { InvalidOptionsError } from "./errors/index.ts";

/** How long to wait before the next attempt. */
export interface Backoff {
  /** Before the second attempt, in ms. */
  readonly baseMs: number;
  /** How much longer each further wait is. */
  readonly factor: number;
  /** No wait is longer, in ms. */
  readonly capMs: number;
  /** Share by which a wait varies in either direction, from 0 to 1. */
  readonly jitter: number;
}

export interface BackoffOptions {
  /** The wait before the second attempt; 1 s if not given. */
  base?: Duration;
  /** How many times longer each further wait is, from 1 to 1000; 2 if not given. */
  factor?: number;
  /** The longest wait; one day if not given. */
  cap?: Duration;
  /** The share by which a wait varies in either direction, from 0 to 1; 0.1 if not given. */
  jitter?: number;
}

/** Waits of 1, 2, 4 and 8 s with 10 % jitter; the cap of a day keeps every wait finite (FM-28). */
export const defaultBackoff: Backoff = { baseMs: 1_000, factor: 2, capMs: 86_400_000, jitter: 0.1 };

const backoffOptions: OptionKinds<BackoffOptions> = { base: "any", factor: "any", cap: "any", jitter: "any" };

/**
 * Returns a backoff with defaults filled in; throws {@link InvalidOptionsError} for what cannot be
 * one.
 */
export function parseBackoff(options: BackoffOptions = {}): Backoff {
  checkOptions("backoff", options, backoffOptions);
  const backoff = {
    baseMs: options.base === undefined ? defaultBackoff.baseMs : parseDuration("backoff.base", options.base),
    factor: options.factor === undefined ? defaultBackoff.factor : options.factor,
    capMs: options.cap === undefined ? defaultBackoff.capMs : parseDuration("backoff.cap", options.cap),
    jitter: options.jitter === undefined ? defaultBackoff.jitter : options.jitter,
  };
  if (!(typeof backoff.factor === "number" && backoff.factor >= 1 && backoff.factor <= 1_000))
    refuse("factor", backoff.factor, "between 1 and 1000");
  if (!(typeof backoff.jitter === "number" && backoff.jitter >= 0 && backoff.jitter <= 1))
    refuse("jitter", backoff.jitter, "between 0 and 1");
  return backoff;
}

function refuse(field: string, value: unknown, wanted: string): never {
  throw new InvalidOptionsError("backoff", [{ path: [field], message: `must be ${wanted}, not ${quote(value)}` }]);
}

/**
 * The wait in ms after failed attempt number `attempt` (from 1), jitter included, never above the
 * cap plus its jitter.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: () => number = Math.random): number {
  // Clamped twice: an exponent this high has met any cap, and a base of 0 times infinity would be
  // no number (FM-28).
  const exponent = Math.min(Math.max(attempt - 1, 0), 1_023);
  const growth = Math.min(backoff.factor ** exponent, Number.MAX_VALUE);
  return jitter(Math.min(backoff.baseMs * growth, backoff.capMs), backoff.jitter, random);
}
