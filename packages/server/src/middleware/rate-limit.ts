import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";
import type { Env } from "./access.ts";

export interface RateLimit {
  /** Requests a second that go on for ever. */
  perSecond: number;
  /** Requests that may come at once after a rest; twice `perSecond` if not given. */
  burst?: number;
}

/**
 * Callers that are remembered at most: above, those that have been quiet longest are taken to be
 * new.
 */
const mostCallers = 10_000;

/** Token buckets by caller: each fills by `perSecond`, up to `burst`. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #burst: number;
  /** In the order of the last request, oldest first. */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor({ perSecond, burst = 2 * perSecond }: RateLimit) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes one of the caller's; answers 0, or in how many ms there will be one again. */
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
 * Bounds what each caller asks for (SEC-22). Stands behind the credential: a stranger uses up
 * nobody's share.
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
