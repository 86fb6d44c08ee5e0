import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";
import type { Env } from "./access.ts";

export interface RateLimit {
  /** Requests a second over a long time. */
  perSecond: number;
  /** Requests that may come at once after a pause. Default: twice `perSecond`. */
  burst?: number;
}

/**
 * Most callers that are remembered. Beyond it, the caller whose last request is oldest is
 * forgotten.
 */
const mostCallers = 10_000;

/** Token buckets by caller. Each refills at `perSecond`, up to `burst`. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #burst: number;
  /** Ordered by the last request, oldest first. */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor({ perSecond, burst = 2 * perSecond }: RateLimit) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes one token of the caller. Returns 0, or if there is none, the ms until the next one. */
  take(caller: string, now: number = performance.now()): number {
    const { left, at } = this.#buckets.get(caller) ?? { left: this.#burst, at: now };
    const filled = Math.min(left + ((now - at) / 1_000) * this.#perSecond, this.#burst);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { left: filled < 1 ? filled : filled - 1, at: now });
    if (this.#buckets.size > mostCallers) this.#buckets.delete(this.#buckets.keys().next().value!);
    return filled < 1 ? Math.ceil(((1 - filled) / this.#perSecond) * 1_000) : 0;
  }
}

/**
 * Limits the requests of each caller (SEC-22). Runs after the credential check, so a stranger
 * cannot use up a caller's share.
 */
export function limitRate(limiter: RateLimiter): MiddlewareHandler<Env> {
  return async (c, next) => {
    const waitMs = limiter.take(c.get("access").name);
    if (waitMs > 0) throw tooManyRequests(waitMs);
    return next();
  };
}

export function tooManyRequests(waitMs: number): RequestRefusedError {
  return new RequestRefusedError(
    "TOO_MANY_REQUESTS",
    "Too many requests. Retry after the number of seconds in the Retry-After header.",
    { headers: { "retry-after": String(Math.ceil(waitMs / 1_000)) } },
  );
}
