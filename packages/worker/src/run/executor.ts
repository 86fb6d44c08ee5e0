import type { Logger, PayloadCipher } from "@hark/core";
import { RetryBudget, type statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Part } from "../runtime/part.ts";
import type { Settler } from "../settle/settler.ts";
import { Attempt, type AttemptParts } from "./attempt.ts";
import type { Attempts } from "./attempts.ts";
import type { WorkerEvents } from "./events.ts";
import type { Handler } from "./implement.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Slots } from "./slots.ts";

/** Takes claimed jobs, and makes an attempt of each. */
export class Executor implements Part {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #slots: readonly Slots[];
  readonly #quarantine: Quarantine;
  readonly #logger: Logger;
  readonly #attemptParts: ReadonlyMap<string, AttemptParts>;
  readonly #attempts: Attempts;
  #isStopping = false;
  #idle = Promise.withResolvers<void>();

  constructor(parts: {
    handlers: ReadonlyMap<string, Handler>;
    /** Of every queue it works. */
    slots: readonly Slots[];
    attempts: Attempts;
    quarantine: Quarantine;
    lease: Pick<LeaseKeeper, "isHeld" | "lost">;
    settler: Pick<Settler, "settle">;
    marks: AttemptParts["marks"];
    events: WorkerEvents;
    /** How long an aborted handler has to end, in ms. */
    graceMs: number;
    cipher: PayloadCipher | undefined;
    logger: Logger;
  }) {
    this.#handlers = parts.handlers;
    this.#slots = parts.slots;
    this.#attempts = parts.attempts;
    this.#quarantine = parts.quarantine;
    this.#logger = parts.logger;
    const { lease, settler, marks, events, graceMs, cipher, logger } = parts;
    const shared = { lease, settler, marks, events, graceMs, cipher, logger, onSettled: this.#left };
    this.#attemptParts = new Map(
      parts.slots.map((slots) => [slots.queue, { ...shared, slots, retries: new RetryBudget() }]),
    );
    lease.lost.on(() => {
      this.abortAll("lease lost");
      events.tell("leaseLost");
    });
  }

  /**
   * Hands back what has not begun. Resolves once nothing runs and every outcome was written or
   * refused; the claimers must have stopped before.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#quarantine.close();
    this.#dropWaiting();
    if (this.#attempts.size > 0) await this.#idle.promise;
  }

  /** Runs a claimed job once its slot is free. */
  submit(job: statements.ClaimedJob): void {
    const attempt = this.#take(job);
    if (!attempt) throw new Error(`claimed job ${job.id} of ${job.queue}/${job.type}, which this worker does not run`);
    if (this.#isStopping || !this.#quarantine.admits(job)) attempt.settle({ kind: "interrupted" });
    else if (this.#quarantine.isSuspect(job)) void this.#runAlone(attempt);
    else void attempt.live();
  }

  /** Hands back a job that was claimed but not started. The attempt does not count. */
  handBack(job: statements.ClaimedJob): void {
    this.#take(job)?.settle({ kind: "interrupted" });
  }

  /**
   * Aborts every running job, because the worker stops or has lost its lease. Waiting jobs never
   * begin.
   */
  abortAll(why: "stopping" | "lease lost"): void {
    this.#dropWaiting();
    this.#attempts.abortAll(why);
  }

  #take(job: statements.ClaimedJob): Attempt | undefined {
    const handler = this.#handlers.get(job.type);
    const parts = this.#attemptParts.get(job.queue);
    if (!handler || !parts) return undefined;
    const attempt = new Attempt(job, handler, parts);
    this.#attempts.add(attempt);
    return attempt;
  }

  /**
   * A job that was running at several deaths of workers runs alone. If it is the cause, no other
   * job suffers (FM-24).
   */
  async #runAlone(attempt: Attempt): Promise<void> {
    const { id, queue, type, crashCount } = attempt.job;
    this.#logger.warn(
      { jobId: id, queue, type, crashCount },
      "job was running when workers died: it runs alone this time",
    );
    const isAdmitted = await this.#quarantine.enter(this.#attempts.size === 1);
    try {
      if (isAdmitted) await attempt.live();
      else attempt.settle({ kind: "interrupted" });
    } finally {
      this.#quarantine.leave();
    }
  }

  readonly #left = (attempt: Attempt): void => {
    this.#attempts.delete(attempt);
    if (this.#attempts.size === 1) this.#quarantine.othersLeft();
    if (this.#attempts.size > 0) return;
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  };

  #dropWaiting(): void {
    for (const slots of this.#slots) slots.dropWaiting();
  }
}
