import type { Duration, JobDefinition, Logger, PayloadOf, ResultOf, Transaction } from "@hark/core";

/** The argument of a handler: the job with its parsed payload, and functions to end the attempt. */
export interface JobContext<Payload = unknown, Result = unknown> {
  /** The id that enqueue() returned. */
  readonly id: bigint;
  /** The queue that the job was claimed from. */
  readonly queue: string;
  /** The name of the job type. */
  readonly type: string;
  /** The payload, as the job type's schema parsed it. */
  readonly payload: Payload;
  /** Higher starts first. */
  readonly priority: number;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** Most attempts. */
  readonly maxAttempts: number;
  /** No other job of the queue with this key runs now. Undefined for a job without a key. */
  readonly key: string | undefined;
  /** Identifies this claim. */
  readonly token: string;
  /**
   * Aborted when the job times out or is cancelled, when the lease is lost, or when the worker
   * stops. Its reason is the error.
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
   * Ends the attempt as failed. If attempts are left, the next one comes after `delay` in place of
   * the backoff.
   */
  retryAfter(delay: Duration, message?: string): never;
  /**
   * Completes the job inside your transaction. Your writes and the completion commit or roll back
   * together, exactly once. Throws LeaseLostError if another worker has the job by now, so that the
   * transaction rolls back. Return from the handler afterwards.
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
