import { type Logger, RetryAfterError, SnoozeError, type Transaction } from "@hark/core";
import { parseDuration, type statements } from "@hark/core/internal";
import type { JobContext } from "./implement.ts";

/** The parts of an attempt that its context needs. */
export interface Attempted {
  readonly job: statements.ClaimedJob;
  readonly signal: AbortSignal;
  readonly log: Logger;
  completeIn(tx: Transaction, result: unknown): Promise<void>;
}

/**
 * The context that a handler gets. Its functions work without `this`. They, the signal and the
 * logger are made only when a handler asks for them.
 */
export class HandlerContext implements JobContext {
  readonly id: bigint;
  readonly queue: string;
  readonly type: string;
  readonly payload: unknown;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly key: string | undefined;
  readonly token: string;
  readonly #attempt: Attempted;

  constructor(attempt: Attempted, payload: unknown) {
    const { job } = attempt;
    this.#attempt = attempt;
    this.payload = payload;
    this.id = job.id;
    this.queue = job.queue;
    this.type = job.type;
    this.priority = job.priority;
    this.attempt = job.attempt;
    this.maxAttempts = job.maxAttempts;
    this.key = job.key;
    this.token = job.token;
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  get log(): Logger {
    return this.#attempt.log;
  }

  get snooze(): JobContext["snooze"] {
    return (delay) => {
      throw new SnoozeError(parseDuration("snooze", delay));
    };
  }

  get retryAfter(): JobContext["retryAfter"] {
    return (delay, message) => {
      throw new RetryAfterError(parseDuration("retryAfter", delay), message);
    };
  }

  get completeIn(): JobContext["completeIn"] {
    return (tx, result) => this.#attempt.completeIn(tx, result);
  }
}
