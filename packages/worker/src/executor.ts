import {
  decideOutcome,
  type Ending,
  JobCancelledError,
  LeaseLostError,
  type Logger,
  type statements,
  WorkerStoppingError,
} from "@hark/core";
import pLimit, { type LimitFunction } from "p-limit";
import { Attempt } from "./attempt.ts";
import type { WorkerEvents } from "./events.ts";
import type { Handler } from "./implement.ts";
import type { Part } from "./runtime/part.ts";
import type { WakeUp } from "./runtime/wake-up.ts";
import type { Settler } from "./settler.ts";

/** Outcomes that may wait to be written before claiming pauses: a database this slow needs no more work. */
const mostBacklog = 2_000;

/**
 * Runs claimed jobs, at most so many of a queue at once, and sends each one's outcome to the settler. p-limit bounds what
 * runs; the claimer asks {@link freeSlots} first, so nothing is ever queued inside the limit.
 */
export class Executor implements Part {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #settler: Settler;
  readonly #events: WorkerEvents;
  readonly #graceMs: number;
  readonly #logger: Logger;
  readonly #limits: ReadonlyMap<string, LimitFunction>;
  /** By id and token, since after a lost lease the same job may come back before its former attempt has ended. */
  readonly #attempts = new Map<string, Attempt>();
  readonly #slotFreed = new Map<string, WakeUp>();
  #idle = Promise.withResolvers<void>();

  constructor(parts: {
    handlers: ReadonlyMap<string, Handler>;
    concurrency: ReadonlyMap<string, number>;
    settler: Settler;
    events: WorkerEvents;
    /** How long an aborted handler has to end, in ms. */
    graceMs: number;
    logger: Logger;
  }) {
    this.#handlers = parts.handlers;
    this.#settler = parts.settler;
    this.#events = parts.events;
    this.#graceMs = parts.graceMs;
    this.#logger = parts.logger;
    this.#limits = new Map(
      [...parts.concurrency].map(([queue, limit]) => [queue, pLimit({ concurrency: limit, rejectOnClear: true })]),
    );
  }

  start(): void {}

  /** Resolves once nothing runs and every outcome was written or refused; what is still to be claimed is not its business. */
  async stop(): Promise<void> {
    if (this.#attempts.size > 0) await this.#idle.promise;
  }

  get activeCount(): number {
    return this.#attempts.size;
  }

  /** How many more jobs of a queue may start now. */
  freeSlots(queue: string): number {
    const limit = this.#limits.get(queue);
    if (!limit || this.#settler.backlog > mostBacklog) return 0;
    return limit.concurrency - limit.activeCount - limit.pendingCount;
  }

  /** Rings `wakeUp` whenever a slot of the queue comes free. */
  onSlotFreed(queue: string, wakeUp: WakeUp): void {
    this.#slotFreed.set(queue, wakeUp);
  }

  /** True while the claim's attempt runs or its outcome is on the way. */
  holds({ id, token }: statements.Claim): boolean {
    return this.#attempts.has(`${id} ${token}`);
  }

  submit(job: statements.ClaimedJob): void {
    const limit = this.#limits.get(job.queue);
    const handler = this.#handlers.get(job.type);
    if (!limit || !handler)
      throw new Error(`claimed job ${job.id} of ${job.queue}/${job.type}, which this worker does not run`);
    const attempt = new Attempt(job, handler, this.#graceMs, this.#logger);
    this.#attempts.set(`${job.id} ${job.token}`, attempt);
    void this.#carryOut(attempt, handler, limit);
  }

  /** Gives a job that was claimed but not started back to the queue, attempt and all. */
  async handBack(job: statements.ClaimedJob): Promise<void> {
    await this.#settler.settle(job, this.#decide(job, { kind: "interrupted" }));
  }

  abortJob(id: bigint): void {
    for (const attempt of this.#attempts.values()) {
      if (attempt.job.id === id) attempt.abort(new JobCancelledError(attempt.job));
    }
  }

  /** Tells every running job that its worker stops, or lost its lease. */
  abortAll(why: "stopping" | "lease lost"): void {
    for (const attempt of this.#attempts.values()) {
      attempt.abort(why === "stopping" ? new WorkerStoppingError(attempt.job) : new LeaseLostError(attempt.job));
    }
  }

  async #carryOut(attempt: Attempt, handler: Handler, limit: LimitFunction): Promise<void> {
    const { job } = attempt;
    const startedAt = performance.now();
    const ending = await limit(() => {
      this.#events.tell("started", job);
      return attempt.run();
    });
    this.#slotFreed.get(job.queue)?.ring();

    const outcome = this.#decide(job, ending, handler);
    const settlement = await this.#settler.settle(job, outcome);
    this.#attempts.delete(`${job.id} ${job.token}`);
    this.#slotFreed.get(job.queue)?.ring(); // the backlog may have been what held the claimer up

    const durationMs = performance.now() - startedAt;
    if (settlement === "settled") {
      this.#events.tell("settled", job, outcome, durationMs);
      this.#report(job, outcome, durationMs);
    } else if (attempt.isCompletedInTransaction) {
      this.#events.tell("settled", job, { state: "completed", resultJson: null }, durationMs);
    } else {
      this.#logger.warn(
        { jobId: job.id, queue: job.queue, type: job.type, attempt: job.attempt, ending: ending.kind },
        "outcome refused: the job was cancelled, or its lease was lost and another worker owns it",
      );
      this.#events.tell("refused", job);
    }
    if (this.#attempts.size === 0) {
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    }
  }

  #decide(job: statements.ClaimedJob, ending: Ending, handler = this.#handlers.get(job.type)) {
    if (!handler) throw new Error(`no handler for ${job.type}`);
    return decideOutcome(job, ending, handler.job.backoff);
  }

  #report(
    { id, queue, type, attempt, maxAttempts }: statements.ClaimedJob,
    outcome: ReturnType<typeof decideOutcome>,
    durationMs: number,
  ) {
    const facts = { jobId: id, queue, type, attempt, maxAttempts, durationMs: Math.round(durationMs) };
    if (outcome.state === "completed") this.#logger.debug(facts, "job completed");
    else if (outcome.state === "dead")
      this.#logger.error({ ...facts, reason: outcome.reason, error: firstLine(outcome.error) }, "job is a dead letter");
    else if (outcome.state === "scheduled" && outcome.error !== null) {
      this.#logger.warn(
        { ...facts, error: firstLine(outcome.error), delayMs: Math.round(outcome.delayMs) },
        "job failed, will be tried again",
      );
    }
  }
}

const firstLine = (text: string) => text.split("\n", 1)[0];
