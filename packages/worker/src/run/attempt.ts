import {
  type JobCancelledError,
  JobTimeoutError,
  LeaseLostError,
  type Logger,
  type PayloadCipher,
  type Transaction,
  type WorkerStoppingError,
} from "@hark/core";
import {
  decideOutcome,
  type Ending,
  isSerializationFailure,
  longestTimerMs,
  openPayload,
  parsePayload,
  queryableOf,
  type RetryBudget,
  statements,
} from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import { sleep } from "../runtime/sleep.ts";
import { isThenable } from "../runtime/thenable.ts";
import type { Settler } from "../settle/settler.ts";
import type { Settlement } from "../settle/unsettled.ts";
import { Ended } from "./ended.ts";
import { endingOf, endingOfPayload, interrupted } from "./ending.ts";
import type { WorkerEvents } from "./events.ts";
import { HandlerContext } from "./handler-context.ts";
import type { Handler } from "./implement.ts";
import { logOutcome, logRefusal } from "./outcome-log.ts";
import { checkResult, unchecked } from "./result.ts";
import type { Slots } from "./slots.ts";
import type { StartMarks } from "./start-marks.ts";

/** The parts that all attempts of a queue share. */
export interface AttemptParts {
  readonly slots: Pick<Slots, "run" | "offer" | "reserve">;
  readonly lease: Pick<LeaseKeeper, "isHeld">;
  readonly settler: Pick<Settler, "settle">;
  readonly marks: Pick<StartMarks, "mark">;
  readonly events: WorkerEvents;
  readonly retries: RetryBudget;
  readonly cipher: PayloadCipher | undefined;
  /** How long an aborted handler has to end, in ms, before the attempt ends without it. */
  readonly graceMs: number;
  readonly logger: Logger;
  /** The outcome was written or refused. Called before all other events of the outcome. */
  readonly onSettled: (attempt: Attempt) => void;
}

type AbortReason = JobCancelledError | LeaseLostError | WorkerStoppingError | JobTimeoutError;

const rolledBack = new Error("the transaction given to completeIn() did not commit, though the handler returned");

/**
 * One try of one job, from its claim to the settled row: see {@link Attempt.live} for its steps.
 * Its signal may be aborted from outside, with the error that says why. Signal, logger and the like
 * are made only if the handler asks for them.
 */
export class Attempt {
  readonly job: statements.ClaimedJob;
  readonly #handler: Handler;
  readonly #parts: AttemptParts;
  #ownLogger: Logger | undefined;
  #controller: AbortController | undefined;
  #timeout: NodeJS.Timeout | undefined;
  /** Ends the attempt without its handler, while that runs. */
  #leave: ((reason: unknown) => void) | undefined;
  readonly #ended = new Ended();
  #durationMs = 0;
  #hasBegun = false;
  #isCompletedInTransaction = false;

  constructor(job: statements.ClaimedJob, handler: Handler, parts: AttemptParts) {
    this.job = job;
    this.#handler = handler;
    this.#parts = parts;
  }

  /** Whether the handler completed the job in its own transaction, which may have rolled back. */
  get isCompletedInTransaction(): boolean {
    return this.#isCompletedInTransaction;
  }

  /** Whether the handler has returned, was abandoned, or will never run. */
  get hasEnded(): boolean {
    return this.#ended.isOver;
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  get log(): Logger {
    const { id, queue, type, attempt } = this.job;
    return (this.#ownLogger ??= this.#parts.logger.child({ jobId: id, queue, type, attempt }));
  }

  /** Waits for a slot, runs, and has its outcome written. Resolves when the slot is free again. */
  async live(): Promise<void> {
    const { slots } = this.#parts;
    let ending: Ending;
    try {
      ending = await slots.run(this);
    } catch (error) {
      // Dropped before it started. What fails later is a failed attempt, or it would run again at
      // once, for ever.
      ending = this.#hasBegun ? { kind: "error", error } : interrupted;
    }
    this.settle(ending);
    slots.offer();
  }

  /**
   * In its slot: opens the payload, starts the timeout, runs the handler and checks its result.
   * Never throws.
   */
  async run(): Promise<Ending> {
    this.#hasBegun = true;
    const startedAt = performance.now();
    const { lease, marks } = this.#parts;
    if (!lease.isHeld(startedAt)) return interrupted; // the lease is lost, and others may run the job
    if (statements.needsMark(this.job)) {
      if (!(await marks.mark(this.job)) || !lease.isHeld(performance.now())) return interrupted;
    }
    this.#parts.events.tell("started", this.job);
    if (this.#controller?.signal.aborted) return endingOf(undefined, this.#controller.signal.reason); // aborted before it started
    let payload: unknown;
    try {
      const opened = this.#openPayload();
      payload = opened instanceof Promise ? await opened : opened;
    } catch (error) {
      this.#durationMs = performance.now() - startedAt;
      return endingOfPayload(error);
    }
    this.#startTimeout();
    try {
      const returned = this.#handler.run(new HandlerContext(this, payload));
      const result = isThenable(returned) ? await this.#resultOf(returned) : returned;
      const checked = this.#checkResult(result);
      return checked instanceof Promise ? await checked : checked;
    } catch (error) {
      // The key's next job was noted on this job's row after the transaction's snapshot was taken.
      // That is no failure of the job's, and the note is there when it is claimed again.
      if (this.#conflict !== undefined && hasCause(error, this.#conflict)) return interrupted;
      return endingOf(error, this.#controller?.signal.reason);
    } finally {
      clearTimeout(this.#timeout);
      this.#ended.end();
      this.#durationMs = performance.now() - startedAt;
    }
  }

  /** Decides the outcome of the job, and has it written. */
  settle(ending: Ending): void {
    this.#ended.end();
    const decided = decideOutcome(this.job, ending, this.#handler.job.backoff);
    // A job completed in a transaction is most likely gone, and no retry to come, unless that was
    // rolled back.
    const outcome = this.#isCompletedInTransaction ? decided : this.#parts.retries.spread(decided);
    const { settler, slots } = this.#parts;
    // Its slot is kept for the next job of its key, which is claimed with the same commit.
    const release = this.job.handsOff && outcome.state === "completed" ? slots.reserve(1) : undefined;
    settler.settle(this.job, outcome, (settlement) => {
      this.#settled(ending, settlement);
      if (!release) return;
      release();
      slots.offer();
    });
  }

  abort(reason: AbortReason): void {
    if (this.signal.aborted) return;
    this.#controller?.abort(reason);
    if (this.#leave) void this.#leaveAfterGrace();
  }

  /** Completes the job inside the application's transaction. See JobContext.completeIn. */
  async completeIn(tx: Transaction, result: unknown): Promise<void> {
    const ending = await checkResult(this.#handler.job, result, this.#parts.logger);
    if (ending.kind !== "completed") throw ending.error;
    const { id, token } = this.job;
    const completions = statements.completionsOf([{ id, token, resultJson: ending.resultJson }]);
    const moved = await statements.completeJobs(queryableOf(tx), completions).catch((error: unknown) => {
      if (isSerializationFailure(error)) this.#conflict = error;
      throw error;
    });
    if (moved.length === 0) throw new LeaseLostError(this.job);
    this.#isCompletedInTransaction = true;
  }

  /** What completeIn() threw if the transaction's snapshot was too old for it. */
  #conflict: unknown;

  #openPayload(): unknown {
    return parsePayload(this.#handler.job, openPayload(this.#parts.cipher, this.job));
  }

  #startTimeout(): void {
    const { timeoutMs } = this.#handler.job;
    if (timeoutMs === undefined) return;
    const timeOut = () => this.abort(new JobTimeoutError(this.job, timeoutMs));
    this.#timeout = setTimeout(timeOut, Math.min(timeoutMs, longestTimerMs));
  }

  /** Returns the handler's result, or the reason why the attempt abandoned the handler. */
  #resultOf(returned: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#leave = reject;
      returned.then(resolve, reject);
      if (this.#controller?.signal.aborted) void this.#leaveAfterGrace();
    });
  }

  #checkResult(result: unknown): Ending | Promise<Ending> {
    const { job } = this.#handler;
    // If the transaction committed, the job is completed. If it rolled back, this worker still has
    // the job, and the attempt failed.
    if (this.#isCompletedInTransaction) return { kind: "error", error: rolledBack };
    const { logger } = this.#parts;
    return job.result ? checkResult(job, result, logger) : unchecked(job.type, result, logger);
  }

  async #leaveAfterGrace(): Promise<void> {
    const { graceMs } = this.#parts;
    if (this.#ended.isOver) return; // only the outcome is still to be written
    await sleep(graceMs, { signal: this.#ended.signal });
    if (this.#ended.isOver) return;
    this.log.error({ graceMs }, "handler ignores its aborted signal: the attempt ends without it");
    this.#leave?.(this.signal.reason);
  }

  #settled(ending: Ending, settlement: Settlement): void {
    const { job } = this;
    const { events, logger, onSettled } = this.#parts;
    onSettled(this);
    if (settlement !== "refused") {
      events.tell("settled", job, settlement, this.#durationMs);
      logOutcome(logger, job, settlement, this.#durationMs);
    } else if (this.#isCompletedInTransaction) {
      events.tell("settled", job, { state: "completed", resultJson: null }, this.#durationMs);
    } else {
      logRefusal(logger, job, ending.kind);
      events.tell("refused", job);
    }
  }
}

/** Whether an error is `cause`, or was made of it. */
function hasCause(error: unknown, cause: unknown): boolean {
  for (let each = error, depth = 0; each instanceof Error && depth < 8; each = each.cause, depth += 1)
    if (each === cause) return true;
  return false;
}
