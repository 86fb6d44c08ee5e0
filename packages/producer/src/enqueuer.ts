import type { InputOf, JobDefinition, Transaction } from "@hark/core";
import type { EnqueuedFrom } from "./enqueue-from.ts";
import type { EnqueueFromOptions, EnqueueOptions, JobRequest } from "./options.ts";

export interface EnqueuedJob {
  /** Text in JSON: `res.json(await producer.enqueue(...))` sends it. */
  readonly id: bigint;
  /** "duplicate": an unfinished job already has the unique key, and `id` is its id. */
  readonly status: "inserted" | "duplicate";
}

export interface Enqueuer {
  /**
   * Checks a job and inserts it. Workers wake when the insert commits. Calls that arrive while an
   * insert runs share the next one. Each call has its own result, and ids follow the order of the
   * calls. If it throws, nothing was written, with two exceptions: the connection broke before the
   * answer came, or the answer was overdue. Then the job may or may not exist. Calls with a unique
   * key or an asynchronous payload schema do not keep the order.
   * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidOptionsError,
   * InvalidNameError
   * @throws QueueFullError if `maxDepth` is set and reached
   * @throws EnqueueTimeoutError after 20 s in line, or 20 s without an answer
   * @throws ProducerBusyError if 100,000 calls or 64 MiB of payload wait for the database, or
   * 10,000 calls while none had an answer for 5 s
   */
  enqueue<Job extends JobDefinition>(job: Job, payload: InputOf<Job>, options?: EnqueueOptions): Promise<EnqueuedJob>;
  /**
   * Checks all jobs, then inserts them in one statement, all or none. Returns results in the order
   * given. Throws as enqueue does.
   */
  enqueueMany<const Jobs extends readonly JobDefinition[]>(requests: {
    readonly [Place in keyof Jobs]: JobRequest<Jobs[Place]>;
  }): Promise<EnqueuedJob[]>;
  /**
   * Imports jobs from an iterable, in order, in batches of `batchSize` jobs or 4 MiB of payload. It
   * reads the iterable only as fast as it inserts, and never holds all of it in memory. Each batch
   * commits by itself, all or none, unless it is in the caller's transaction.
   * @throws EnqueueFromError at the first refused job, with its position, and with the number of
   * jobs inserted before its batch
   */
  enqueueFrom(
    source: AsyncIterable<JobRequest> | Iterable<JobRequest>,
    options?: EnqueueFromOptions,
  ): Promise<EnqueuedFrom>;
}

export interface Producer extends Enqueuer, AsyncDisposable {
  /**
   * Enqueues inside the caller's transaction. The jobs and their notification commit or roll back
   * with it. Takes a pg client after BEGIN or a Drizzle transaction.
   * @throws NotATransactionError for a pool, a database or a client without BEGIN
   */
  in(tx: Transaction): Enqueuer;
  /**
   * Waits for earlier calls, at most 10 s, then closes what the producer opened itself. A borrowed
   * pool stays open. Later calls throw ProducerClosedError.
   */
  close(): Promise<void>;
}
