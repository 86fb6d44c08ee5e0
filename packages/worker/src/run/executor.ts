import {
  JobCancelledError,
  LeaseLostError,
  type Logger,
  type PayloadCipher,
  RetryBudget,
  type statements,
  WorkerStoppingError,
} from "@hark/core";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Part } from "../runtime/part.ts";
import type { Settler } from "../settle/settler.ts";
import { Attempt, type AttemptParts } from "./attempt.ts";
import type { WorkerEvents } from "./events.ts";
import type { Handler } from "./implement.ts";
import { isSuspect, type Quarantine } from "./quarantine.ts";
import type { Slots } from "./slots.ts";

/** Takes claimed jobs, makes an attempt of each, and knows all attempts that are under way. */
export class Executor implements Part {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #slots: readonly Slots[];
  readonly #quarantine: Quarantine;
  readonly #logger: Logger;
  readonly #attemptParts: ReadonlyMap<string, AttemptParts>;
  /** After a lost lease the same job may come back before its former attempt has ended: two of one id. */
  readonly #attempts = new Set<Attempt>();
  #isStopping = false;
  #idle = Promise.withResolvers<void>();

  constructor(parts: {
    handlers: ReadonlyMap<string, Handler>;
    /** Of every queue it works. */
    slots: readonly Slots[];
    quarantine: Quarantine;
    lease: Pick<LeaseKeeper, "isHeld" | "lost">;
    settler: Pick<Settler, "settle">;
    events: WorkerEvents;
    /** How long an aborted handler has to end, in ms. */
    graceMs: number;
    cipher: PayloadCipher | undefined;
    logger: Logger;
  }) {
    this.#handlers = parts.handlers;
    this.#slots = parts.slots;
    this.#quarantine = parts.quarantine;
    this.#logger = parts.logger;
    const { lease, settler, events, graceMs, cipher, logger } = parts;
    const shared = { lease, settler, events, graceMs, cipher, logger, onSettled: this.#left };
    this.#attemptParts = new Map(
      parts.slots.map((slots) => [slots.queue, { ...shared, slots, retries: new RetryBudget() }]),
    );
    lease.lost.on(() => {
      this.abortAll("lease lost");
      events.tell("leaseLost");
    });
  }

  /**
   * Hands back what has not begun. Resolves once nothing runs and every outcome was written or refused; the claimers must
   * have stopped before.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#quarantine.close();
    this.#dropWaiting();
    if (this.#attempts.size > 0) await this.#idle.promise;
  }

  get activeCount(): number {
    return this.#attempts.size;
  }

  /** Runs a claimed job once its slot is free. */
  submit(job: statements.ClaimedJob): void {
    const attempt = this.#take(job);
    if (!attempt) throw new Error(`claimed job ${job.id} of ${job.queue}/${job.type}, which this worker does not run`);
    if (this.#isStopping || !this.#quarantine.admits(job)) attempt.settle({ kind: "interrupted" });
    else if (isSuspect(job)) void this.#runAlone(attempt);
    else void attempt.live();
  }

  /** Gives a job that was claimed but not started back to the queue, attempt and all. */
  handBack(job: statements.ClaimedJob): void {
    this.#take(job)?.settle({ kind: "interrupted" });
  }

  /** The claims whose attempt runs, waits for its slot or has its outcome on the way. */
  heldClaims(): statements.Claim[] {
    return [...this.#attempts].map(({ job }) => job);
  }

  /** The claims of a job that run here or wait for their slot: none, or one, or after a lost lease more. */
  claimsOf(id: bigint): statements.Claim[] {
    return [...this.#attempts].flatMap(({ job }) => (job.id === id ? [{ id, token: job.token }] : []));
  }

  /** Those of these claims whose job waits for its slot or runs here; not if its own transaction has completed it. */
  unfinished(claims: readonly statements.Claim[]): statements.Claim[] {
    return this.#unfinishedAttempts(claims).map(({ job: { id, token } }) => ({ id, token }));
  }

  /** Tells the jobs of these claims that they may not be ours. Returns the ids of those that were told. */
  abortLost(claims: readonly statements.Claim[]): bigint[] {
    const attempts = this.#unfinishedAttempts(claims);
    for (const attempt of attempts) attempt.abort(new LeaseLostError(attempt.job, "claim in doubt"));
    return attempts.map(({ job }) => job.id);
  }

  /** Tells a running job that it was cancelled. One whose own transaction completed it may go on. */
  abortClaim({ id, token }: statements.Claim): void {
    for (const attempt of this.#attempts) {
      const { job, isCompletedInTransaction } = attempt;
      if (job.id === id && job.token === token && !isCompletedInTransaction) attempt.abort(new JobCancelledError(job));
    }
  }

  /** Tells every running job that its worker stops, or lost its lease; what has not begun never does. */
  abortAll(why: "stopping" | "lease lost"): void {
    this.#dropWaiting();
    for (const attempt of this.#attempts) {
      attempt.abort(why === "stopping" ? new WorkerStoppingError(attempt.job) : new LeaseLostError(attempt.job));
    }
  }

  #take(job: statements.ClaimedJob): Attempt | undefined {
    const handler = this.#handlers.get(job.type);
    const parts = this.#attemptParts.get(job.queue);
    if (!handler || !parts) return undefined;
    const attempt = new Attempt(job, handler, parts);
    this.#attempts.add(attempt);
    return attempt;
  }

  /** A job that was there whenever a worker died runs by itself: if it is the cause, it takes no other along (FM-24). */
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

  #unfinishedAttempts(claims: readonly statements.Claim[]): Attempt[] {
    if (claims.length === 0 || this.#attempts.size === 0) return [];
    const wanted = new Set(claims.map(({ id, token }) => `${id} ${token}`));
    return [...this.#attempts].filter(
      ({ job: { id, token }, hasEnded, isCompletedInTransaction }) =>
        !hasEnded && !isCompletedInTransaction && wanted.has(`${id} ${token}`),
    );
  }

  #dropWaiting(): void {
    for (const slots of this.#slots) slots.dropWaiting();
  }
}
