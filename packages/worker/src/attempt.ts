import {
  type Ending,
  executorOf,
  InvalidPayloadError,
  JobCancelledError,
  type JobDefinition,
  JobTimeoutError,
  jsonIssues,
  LeaseLostError,
  limits,
  type Logger,
  longestTimerMs,
  parseDuration,
  parsePayload,
  RetryAfterError,
  SnoozeError,
  statements,
  type Transaction,
  UnrecoverableError,
  WorkerStoppingError,
} from "@hark/core";
import type { Handler, JobContext } from "./implement.ts";
import { sleep } from "./runtime/sleep.ts";

/**
 * One try of one job: parses its payload, runs its handler under a signal and a timeout, and answers how it ended. The signal
 * may be aborted from outside, with the error that says why.
 */
export class Attempt {
  readonly job: statements.ClaimedJob;
  readonly #handler: Handler;
  readonly #logger: Logger;
  readonly #controller = new AbortController();
  /** How long the handler has to end after its signal was aborted, in ms, before the attempt ends without it. */
  readonly #graceMs: number;
  #isCompletedInTransaction = false;

  constructor(job: statements.ClaimedJob, handler: Handler, graceMs: number, logger: Logger) {
    this.job = job;
    this.#handler = handler;
    this.#graceMs = graceMs;
    this.#logger = logger.child({ jobId: job.id, queue: job.queue, type: job.type, attempt: job.attempt });
  }

  /** The handler completed the job inside its own transaction: if that committed, there is nothing left to settle. */
  get isCompletedInTransaction(): boolean {
    return this.#isCompletedInTransaction;
  }

  abort(reason: JobCancelledError | LeaseLostError | WorkerStoppingError | JobTimeoutError): void {
    this.#controller.abort(reason);
  }

  async run(): Promise<Ending> {
    const { job } = this.#handler;
    let payload: unknown;
    try {
      payload = await parsePayload(job, this.job.payload);
    } catch (error) {
      if (error instanceof InvalidPayloadError) return { kind: "fatal", reason: "invalid_payload", error };
      return { kind: "error", error };
    }

    const { timeoutMs } = job;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => this.abort(new JobTimeoutError(this.job, timeoutMs)), Math.min(timeoutMs, longestTimerMs));
    const ended = new AbortController();
    try {
      const result = await Promise.race([this.#handle(payload), this.#outlived(ended.signal)]);
      // The transaction's commit took the job with it. If it rolled back instead, the job is still ours and failed.
      if (this.#isCompletedInTransaction) return { kind: "error", error: rolledBack };
      return await completed(job, result);
    } catch (error) {
      return this.#endingOf(error);
    } finally {
      clearTimeout(timer);
      ended.abort();
    }
  }

  async #handle(payload: unknown): Promise<unknown> {
    return this.#handler.run(this.#context(payload));
  }

  /** Rejects with the reason once the handler has outlived its aborted signal by the grace, unless it has `ended` by then. */
  #outlived(ended: AbortSignal): Promise<never> {
    const { signal } = this.#controller;
    return new Promise((_, reject) => {
      const onAbort = async () => {
        await sleep(this.#graceMs, { signal: ended });
        if (ended.aborted) return;
        this.#logger.error(
          { graceMs: this.#graceMs },
          "handler ignores its aborted signal: the attempt ends without it",
        );
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", () => void onAbort());
    });
  }

  #endingOf(error: unknown): Ending {
    const reason: unknown = this.#controller.signal.reason;
    // A handler ends in many ways once its signal is aborted: the reason for that is the truth.
    if (reason instanceof JobCancelledError) return { kind: "cancelled" };
    if (reason instanceof WorkerStoppingError || reason instanceof LeaseLostError) return { kind: "interrupted" };
    if (reason instanceof JobTimeoutError) return { kind: "timeout", error: reason };
    if (error instanceof SnoozeError) return { kind: "snoozed", delayMs: error.delayMs };
    if (error instanceof RetryAfterError) return { kind: "retry_after", delayMs: error.delayMs, error };
    if (error instanceof UnrecoverableError) return { kind: "fatal", reason: "unrecoverable", error };
    return { kind: "error", error };
  }

  #context(payload: unknown): JobContext {
    const { id, queue, type, priority, attempt, maxAttempts, key, token } = this.job;
    return {
      id,
      queue,
      type,
      payload,
      priority,
      attempt,
      maxAttempts,
      key,
      token,
      signal: this.#controller.signal,
      log: this.#logger,
      snooze: (delay) => {
        throw new SnoozeError(parseDuration("snooze", delay));
      },
      retryAfter: (delay, message) => {
        throw new RetryAfterError(parseDuration("retryAfter", delay), message);
      },
      completeIn: (tx, result) => this.#completeIn(tx, result),
    };
  }

  async #completeIn(tx: Transaction, result: unknown): Promise<void> {
    const ending = await completed(this.#handler.job, result);
    if (ending.kind !== "completed") throw ending.error;
    const { id, token } = this.job;
    const moved = await statements.completeJobs(executorOf(tx), {
      completed: statements.completedJson([{ id, token, resultJson: ending.resultJson }]),
    });
    if (moved.length === 0) throw new LeaseLostError(this.job);
    this.#isCompletedInTransaction = true;
  }
}

const rolledBack = new Error("the transaction given to completeIn() did not commit, though the handler returned");

/** Checks what a handler returned; a result that cannot be kept fails the attempt, with the reason. */
async function completed(
  { type, result: schema }: JobDefinition,
  result: unknown,
): Promise<Extract<Ending, { kind: "completed" | "fatal" }>> {
  const refuse = (message: string) =>
    ({
      kind: "fatal",
      reason: "unrecoverable",
      error: new UnrecoverableError(`the result of ${type} ${message}`),
    }) as const;

  if (schema) {
    const checked = await schema["~standard"].validate(result);
    if (checked.issues) return refuse(`fails its schema: ${checked.issues.map(({ message }) => message).join("; ")}`);
  }
  if (result === undefined) return { kind: "completed", resultJson: null };
  const [issue] = jsonIssues(result);
  if (issue) return refuse(`is no JSON at ${issue.path.join(".") || "its top"}: ${issue.message}`);
  const resultJson = JSON.stringify(result);
  if (Buffer.byteLength(resultJson) > limits.resultBytes) return refuse(`is over ${limits.resultBytes} bytes of JSON`);
  return { kind: "completed", resultJson };
}
