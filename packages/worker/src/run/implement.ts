import type { Duration, JobDefinition, Logger, PayloadOf, ResultOf, Transaction } from "@hark/core";

/** What a handler gets: the job, parsed, and how to talk back. */
export interface JobContext<Payload = unknown, Result = unknown> {
  /** The id that enqueue() returned. */
  readonly id: bigint;
  /** The queue that the job was claimed from. */
  readonly queue: string;
  /** The name of the job type. */
  readonly type: string;
  /** What the job type's schema made of the payload. */
  readonly payload: Payload;
  /** Higher starts first. */
  readonly priority: number;
  /** From 1, this one included. */
  readonly attempt: number;
  /** Attempts in all. */
  readonly maxAttempts: number;
  /** No other job of the queue with this key runs now; undefined for a job without one. */
  readonly key: string | undefined;
  /** Proof of this claim. */
  readonly token: string;
  /**
   * Aborted, with the error as its reason, when the job timed out, was cancelled, lost its lease or
   * its worker stops.
   */
  readonly signal: AbortSignal;
  /** Logs with the job's id, queue, type and attempt as fields. */
  readonly log: Logger;
  /**
   * Ends the attempt without an error: the job runs again after `delay`, and this attempt does not
   * count.
   */
  snooze(delay: Duration): never;
  /**
   * Ends the attempt as failed; the next comes after `delay` instead of the backoff, if attempts
   * are left.
   */
  retryAfter(delay: Duration, message?: string): never;
  /**
   * Completes the job inside your transaction: what you write in it and the completion commit or
   * vanish together, exactly once. Throws LeaseLostError, so that the transaction rolls back, if
   * another worker owns the job by now. Return afterwards.
   */
  completeIn(tx: Transaction, result?: Result): Promise<void>;
}

export interface Handler<Job extends JobDefinition = JobDefinition> {
  readonly job: Job;
  readonly run: (context: JobContext<any, any>) => unknown;
}

/**
 * Binds a handler to a job type, with the types of its payload and result. A worker takes a list of
 * these.
 */
export function implement<Job extends JobDefinition>(
  job: Job,
  run: (context: JobContext<PayloadOf<Job>, ResultOf<Job>>) => ResultOf<Job> | Promise<ResultOf<Job>>,
): Handler<Job> {
  return Object.freeze({ job, run });
}
