import { HarkError } from "./hark-error.ts";

/** A queue has as many ready jobs as the maxDepth of the producer allows. */
export class QueueFullError extends HarkError {
  /** When it is worth trying again, in ms. */
  readonly retryAfterMs = 1_000;

  constructor(queue: string, depth: number, limit: number) {
    super(
      "QUEUE_FULL",
      { queue, depth, limit },
      `The queue ${queue} is full: ${depth} ready jobs wait, and its limit is ${limit}. Nothing was written. Try again in a ` +
        `while, add workers, or raise maxDepth.`,
    );
  }
}

/**
 * A call had no answer in time. With `isSent`, its insert was sent, and its jobs may have been
 * written or not. Without, nothing was written.
 */
export class EnqueueTimeoutError extends HarkError {
  constructor(deadlineMs: number, isSent: boolean = true) {
    super(
      "ENQUEUE_TIMEOUT",
      { deadlineMs, isSent },
      isSent
        ? `PostgreSQL did not answer an insert within ${deadlineMs} ms, so nobody can know whether the job was written: ` +
            `look for it before you enqueue it again, and see what keeps the pool or the server busy.`
        : `PostgreSQL did not answer within ${deadlineMs} ms what comes before this insert. Nothing was written. Try again in a ` +
            `while, and see what keeps the pool or the server busy.`,
    );
  }
}

/** More calls of a producer wait for the database than fit in memory. */
export class ProducerBusyError extends HarkError {
  /** When it is worth trying again, in ms. */
  readonly retryAfterMs = 1_000;

  constructor(calls: number, bytes: number) {
    super(
      "PRODUCER_BUSY",
      { calls, bytes },
      `${calls} calls with ${bytes} bytes of payload wait for PostgreSQL, as many as a producer holds. Nothing was written. Try ` +
        `again in a while, await calls before you make more, or use enqueueMany() or enqueueFrom().`,
    );
  }
}

/** enqueueFrom() met a job that it could not insert. `cause` is why. */
export class EnqueueFromError extends HarkError {
  /**
   * `first` and `last`: the jobs at fault, counted from 0; the counts are of the batches before,
   * which were inserted.
   */
  constructor(progress: { first: number; last: number; inserted: number; duplicates: number }, cause: unknown) {
    const { first, last, inserted, duplicates } = progress;
    super(
      "ENQUEUE_FROM",
      progress,
      `enqueueFrom stopped at job ${first === last ? first : `${first} to ${last}`}, counted from 0: ` +
        `${cause instanceof Error ? cause.message : String(cause)} The batches before it inserted ${inserted} jobs and met ` +
        `${duplicates} duplicates; outside a transaction they stay. Mend the source, and go on behind them.`,
      { cause },
    );
  }
}

/** A producer was used after close(). */
export class ProducerClosedError extends HarkError {
  constructor() {
    super(
      "PRODUCER_CLOSED",
      {},
      "The producer is closed: nothing was written. Enqueue before close(), or make another with createProducer().",
    );
  }
}
