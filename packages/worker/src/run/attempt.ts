import {
  type Ending,
  queryableOf,
  InvalidPayloadError,
  JobCancelledError,
  type JobDefinition,
  JobTimeoutError,
  jsonIssues,
  LeaseLostError,
  limits,
  type Logger,
  longestTimerMs,
  openPayload,
  parseDuration,
  parsePayload,
  type PayloadCipher,
  PayloadUnreadableError,
  RetryAfterError,
  SnoozeError,
  statements,
  type Transaction,
  UnrecoverableError,
  WorkerStoppingError,
} from "@hark/core";
import type { Handler, JobContext } from "./implement.ts";
import { sleep } from "../runtime/sleep.ts";

/**
 * One try of one job: parses its payload, runs its handler under a signal and a timeout, and answers how it ended. The signal
 * may be aborted from outside, with the error that says why. What a handler does not ask for is not made.
 */
export class Attempt {
  readonly job: statements.ClaimedJob;
  /** How long the handler ran, in ms. */
  durationMs = 0;
  readonly #handler: Handler;
  readonly #baseLogger: Logger;
  #ownLogger: Logger | undefined;
  #controller: AbortController | undefined;
  /** How long the handler has to end after its signal was aborted, in ms, before the attempt ends without it. */
  readonly #graceMs: number;
  readonly #cipher: PayloadCipher | undefined;
  /** Ends the attempt without its handler, while that runs. */
  #leave: ((reason: unknown) => void) | undefined;
  readonly #ended = new Ended();
  #isCompletedInTransaction = false;

  constructor(
    job: statements.ClaimedJob,
    handler: Handler,
    parts: { graceMs: number; cipher: PayloadCipher | undefined; logger: Logger },
  ) {
    this.job = job;
    this.#handler = handler;
    this.#graceMs = parts.graceMs;
    this.#cipher = parts.cipher;
    this.#baseLogger = parts.logger;
  }

  /** The handler completed the job inside its own transaction: if that committed, there is nothing left to settle. */
  get isCompletedInTransaction(): boolean {
    return this.#isCompletedInTransaction;
  }

  /** Its handler has returned or never ran, or was left behind: only the outcome is still on the way. */
  get hasEnded(): boolean {
    return this.#ended.isOver;
  }

  /** How it ended is decided. */
  end(): void {
    this.#ended.end();
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  get log(): Logger {
    const { id, queue, type, attempt } = this.job;
    return (this.#ownLogger ??= this.#baseLogger.child({ jobId: id, queue, type, attempt }));
  }

  abort(reason: JobCancelledError | LeaseLostError | WorkerStoppingError | JobTimeoutError): void {
    if (this.signal.aborted) return;
    this.#controller?.abort(reason);
    if (this.#leave) void this.#leaveAfterGrace();
  }

  async run(): Promise<Ending> {
    if (this.#controller?.signal.aborted) return this.#endingOf(undefined); // before its turn came
    const { job } = this.#handler;
    let payload: unknown;
    try {
      const parsed: unknown = parsePayload(job, openPayload(this.#cipher, this.job));
      payload = parsed instanceof Promise ? await parsed : parsed;
    } catch (error) {
      if (error instanceof PayloadUnreadableError) return { kind: "fatal", reason: "payload_unreadable", error };
      if (error instanceof InvalidPayloadError) return { kind: "fatal", reason: "invalid_payload", error };
      return { kind: "error", error };
    }

    const { timeoutMs } = job;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => this.abort(new JobTimeoutError(this.job, timeoutMs)), Math.min(timeoutMs, longestTimerMs));
    try {
      const answer = this.#handler.run(new Context(this, payload));
      const result = isThenable(answer) ? await this.#outcomeOf(answer) : answer;
      // The transaction's commit took the job with it. If it rolled back instead, the job is still ours and failed.
      if (this.#isCompletedInTransaction) return { kind: "error", error: rolledBack };
      if (result === undefined && !job.result) return { kind: "completed", resultJson: null };
      return await completed(job, result);
    } catch (error) {
      return this.#endingOf(error);
    } finally {
      clearTimeout(timer);
      this.#ended.end();
    }
  }

  /** Completes the job inside the application's transaction. See {@link JobContext.completeIn}. */
  async completeIn(tx: Transaction, result: unknown): Promise<void> {
    const ending = await completed(this.#handler.job, result);
    if (ending.kind !== "completed") throw ending.error;
    const { id, token } = this.job;
    const completions = statements.completionsOf([{ id, token, resultJson: ending.resultJson }]);
    const moved = await statements.completeJobs(queryableOf(tx), completions);
    if (moved.length === 0) throw new LeaseLostError(this.job);
    this.#isCompletedInTransaction = true;
  }

  /** What the handler's promise comes to, or the reason why the attempt left it behind. */
  #outcomeOf(answer: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#leave = reject;
      answer.then(resolve, reject);
      if (this.#controller?.signal.aborted) void this.#leaveAfterGrace();
    });
  }

  async #leaveAfterGrace(): Promise<void> {
    if (this.#ended.isOver) return; // only its outcome is still on the way
    await sleep(this.#graceMs, { signal: this.#ended.signal });
    if (this.#ended.isOver) return;
    this.log.error({ graceMs: this.#graceMs }, "handler ignores its aborted signal: the attempt ends without it");
    this.#leave?.(this.signal.reason);
  }

  #endingOf(error: unknown): Ending {
    const reason: unknown = this.#controller?.signal.reason;
    // A handler ends in many ways once its signal is aborted: the reason for that is the truth.
    if (reason instanceof JobCancelledError) return { kind: "cancelled" };
    if (reason instanceof WorkerStoppingError || reason instanceof LeaseLostError) return { kind: "interrupted" };
    if (reason instanceof JobTimeoutError) return { kind: "timeout", error: reason };
    if (error instanceof SnoozeError) return { kind: "snoozed", delayMs: error.delayMs };
    if (error instanceof RetryAfterError) return { kind: "retry_after", delayMs: error.delayMs, error };
    if (error instanceof UnrecoverableError) return { kind: "fatal", reason: "unrecoverable", error };
    return { kind: "error", error };
  }
}

/** What the handler sees of its attempt. Its functions may be taken out of it and called alone. */
class Context implements JobContext {
  readonly id: bigint;
  readonly queue: string;
  readonly type: string;
  readonly payload: unknown;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly key: string | undefined;
  readonly token: string;
  readonly #attempt: Attempt;

  constructor(attempt: Attempt, payload: unknown) {
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

/** A signal for the end, made only if somebody waits for it. */
class Ended {
  isOver = false;
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  end(): void {
    this.isOver = true;
    this.#controller?.abort();
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";

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
