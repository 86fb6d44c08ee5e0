import { HarkError } from "./hark-error.ts";

/**
 * A worker cannot open a payload: its job becomes a dead letter, since another try would find the
 * same.
 */
export class PayloadUnreadableError extends HarkError {
  constructor({ type, queue }: { type: string; queue: string }, why: string) {
    super(
      "PAYLOAD_UNREADABLE",
      { type, queue, why },
      `The payload of this ${type} in ${queue} cannot be read: ${why}. Its job is a dead letter. Give the worker the cipher ` +
        `with the key that sealed it, and requeue.`,
    );
  }
}

/**
 * The job is not this worker's any more. "claim in doubt": it was hardly claimed when the server
 * crashed, or the connection broke.
 */
export class LeaseLostError extends HarkError {
  constructor(
    job: { id: bigint; type: string; attempt: number; maxAttempts: number },
    why: "outlived" | "claim in doubt" = "outlived",
  ) {
    const what = `Job ${job.id} (${job.type}, attempt ${job.attempt} of ${job.maxAttempts})`;
    super(
      "LEASE_LOST",
      { jobId: job.id, type: job.type, attempt: job.attempt },
      why === "outlived"
        ? `${what} outlived its lease: its outcome was not written, and another worker may run it again. ` +
            `Keep the event loop free, or raise the option lease.`
        : `${what} was told to stop: the database crashed or could not be asked just after it was claimed, so the claim may never ` +
            `have been written down. The attempt does not count, and the job runs again. Give it a key if no two runs may overlap then.`,
    );
  }
}

/** An attempt ran longer than the timeout of its job type. The reason of its signal. */
export class JobTimeoutError extends HarkError {
  constructor(job: { id: bigint; type: string }, timeoutMs: number) {
    super(
      "JOB_TIMEOUT",
      { jobId: job.id, type: job.type, timeoutMs },
      `Job ${job.id} (${job.type}) ran longer than its ${timeoutMs} ms and was aborted. Raise the type's timeout, or do less in ` +
        `one job.`,
    );
  }
}

/** A job was cancelled while it ran. The reason of its signal. */
export class JobCancelledError extends HarkError {
  constructor(job: { id: bigint; type: string }) {
    super(
      "JOB_CANCELLED",
      { jobId: job.id, type: job.type },
      `Job ${job.id} (${job.type}) was cancelled while it ran.`,
    );
  }
}

/** A worker stops, and the attempt outlasted the drain. The reason of its signal. */
export class WorkerStoppingError extends HarkError {
  constructor(job: { id: bigint; type: string }) {
    super(
      "WORKER_STOPPING",
      { jobId: job.id, type: job.type },
      `Job ${job.id} (${job.type}) was aborted because its worker stops; it goes back to the queue, and the attempt does not count.`,
    );
  }
}

/** Thrown by a handler: straight to the dead letters, no matter how many attempts are left. */
export class UnrecoverableError extends HarkError {
  constructor(message: string, options?: ErrorOptions) {
    super("UNRECOVERABLE", {}, message, options);
  }
}

/**
 * Thrown by a handler: an error whose next attempt comes after `delayMs` instead of the backoff.
 */
export class RetryAfterError extends HarkError {
  readonly delayMs: number;

  constructor(delayMs: number, message = `asked to retry after ${delayMs} ms`, options?: ErrorOptions) {
    super("RETRY_AFTER", { delayMs }, message, options);
    this.delayMs = delayMs;
  }
}

/** Thrown by a handler: run again after `delayMs`; no error, and the attempt does not count. */
export class SnoozeError extends HarkError {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super("SNOOZED", { delayMs }, `snoozed for ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}
