import {
  decideOutcome,
  type Ending,
  JobCancelledError,
  LeaseLostError,
  type Logger,
  type Outcome,
  type PayloadCipher,
  RetryBudget,
  type statements,
  WorkerStoppingError,
} from "@hark/core";
import pLimit, { type LimitFunction } from "p-limit";
import { Prefetch } from "../claim/prefetch.ts";
import { Attempt } from "./attempt.ts";
import type { WorkerEvents } from "./events.ts";
import type { Handler } from "./implement.ts";
import { isSuspect, Quarantine } from "./quarantine.ts";
import type { Part } from "../runtime/part.ts";
import type { Settlement, Settler } from "../settle/settler.ts";

/** Outcomes that may wait to be written before claiming pauses: a database this slow needs no more work. */
const mostBacklog = 2_000;

/**
 * What was claimed ahead and has not begun after so many looks, this many ms apart, goes back: another process may be idle. By
 * what the lane had been given at those looks, not by a time for each job.
 */
const overdue = { looks: 6, everyMs: 10 };

/** One queue's slots. */
interface Lane {
  readonly limit: LimitFunction;
  readonly appetite: Prefetch;
  readonly retries: RetryBudget;
  /** Jobs that were given to the limit, and those that wait there no more: they began, or were dropped. */
  given: number;
  left: number;
  /** Jobs that claims under way have asked for. */
  expected: number;
  watch: NodeJS.Timeout | undefined;
  onSlotFree: () => void;
}

/**
 * Runs claimed jobs, at most so many of a queue at once, and sends each one's outcome to the settler. p-limit bounds what
 * runs; what it queues are the few jobs that were claimed ahead, see {@link Prefetch}.
 */
export class Executor implements Part {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #settler: Settler;
  readonly #events: WorkerEvents;
  readonly #isLeaseHeld: (nowMs: number) => boolean;
  readonly #graceMs: number;
  readonly #cipher: PayloadCipher | undefined;
  readonly #logger: Logger;
  readonly #lanes: ReadonlyMap<string, Lane>;
  /** After a lost lease the same job may come back before its former attempt has ended: two of one id. */
  readonly #attempts = new Set<Attempt>();
  readonly #quarantine = new Quarantine();
  #isStopping = false;
  /** Claiming waits for outcomes to be written. */
  #isPaused = false;
  #idle = Promise.withResolvers<void>();

  constructor(parts: {
    handlers: ReadonlyMap<string, Handler>;
    concurrency: ReadonlyMap<string, number>;
    settler: Settler;
    events: WorkerEvents;
    /** Whether what was claimed is still ours at `nowMs` of performance.now(). */
    isLeaseHeld: (nowMs: number) => boolean;
    /** How long an aborted handler has to end, in ms. */
    graceMs: number;
    cipher: PayloadCipher | undefined;
    logger: Logger;
  }) {
    this.#handlers = parts.handlers;
    this.#settler = parts.settler;
    this.#events = parts.events;
    this.#isLeaseHeld = parts.isLeaseHeld;
    this.#graceMs = parts.graceMs;
    this.#cipher = parts.cipher;
    this.#logger = parts.logger;
    this.#lanes = new Map(
      [...parts.concurrency].map(([queue, concurrency]) => [
        queue,
        {
          limit: pLimit({ concurrency, rejectOnClear: true }),
          appetite: new Prefetch(concurrency),
          retries: new RetryBudget(),
          given: 0,
          left: 0,
          expected: 0,
          watch: undefined,
          onSlotFree: () => {},
        },
      ]),
    );
  }

  start(): void {}

  /**
   * Hands back what has not begun, and resolves once nothing runs and every outcome was written or refused; what is still to be
   * claimed is not its business.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#quarantine.close();
    this.#dropUnstarted();
    if (this.#attempts.size > 0) await this.#idle.promise;
  }

  get activeCount(): number {
    return this.#attempts.size;
  }

  /** Whether the queue's jobs run one after the other. */
  isSerial(queue: string): boolean {
    return this.#lanes.get(queue)?.limit.concurrency === 1;
  }

  /** How many more jobs of a queue to claim now; 0 while it has enough, with those that are expected. */
  wanted(queue: string): number {
    const lane = this.#lanes.get(queue);
    this.#isPaused = this.#settler.backlog > mostBacklog;
    if (!lane || this.#isPaused || this.#quarantine.isTaken) return 0;
    return lane.appetite.wanted(lane.limit.activeCount + lane.limit.pendingCount + lane.expected);
  }

  /** A claim asks for so many jobs: they count as there until the answer, called once it has come or will not, says otherwise. */
  expect(queue: string, jobs: number): () => void {
    const lane = this.#lanes.get(queue);
    let expected = jobs;
    if (lane) lane.expected += expected;
    return () => {
      if (lane) lane.expected -= expected;
      expected = 0;
    };
  }

  /** Calls `onSlotFree` whenever the queue wants jobs. */
  onSlotFree(queue: string, onSlotFree: () => void): void {
    const lane = this.#lanes.get(queue);
    if (lane) lane.onSlotFree = onSlotFree;
  }

  /** The claims whose attempt runs, waits for its slot or has its outcome on the way. */
  heldClaims(): statements.Claim[] {
    return [...this.#attempts].map(({ job }) => job);
  }

  submit(job: statements.ClaimedJob): void {
    const lane = this.#lanes.get(job.queue);
    const handler = this.#handlers.get(job.type);
    if (!lane || !handler)
      throw new Error(`claimed job ${job.id} of ${job.queue}/${job.type}, which this worker does not run`);
    if (this.#isStopping || !this.#quarantine.admits(job)) return this.handBack(job);
    const attempt = this.#take(job, handler);
    if (isSuspect(job)) void this.#carryOutAlone(attempt, lane);
    else void this.#carryOut(attempt, lane);
  }

  /** Gives a job that was claimed but not started back to the queue, attempt and all. */
  handBack(job: statements.ClaimedJob): void {
    const handler = this.#handlers.get(job.type);
    if (handler) this.#end(this.#take(job, handler), { kind: "interrupted" });
  }

  /** The claims of a job that run here or wait for their slot: none, or one, or after a lost lease more. */
  claimsOf(id: bigint): statements.Claim[] {
    return [...this.#attempts].flatMap(({ job }) => (job.id === id ? [{ id, token: job.token }] : []));
  }

  /** Those of these claims whose job waits for its slot or runs here; not if its own transaction has completed it. */
  unfinished(claims: readonly statements.Claim[]): statements.Claim[] {
    return this.#unfinishedAttempts(claims).map(({ job: { id, token } }) => ({ id, token }));
  }

  /** Tells the jobs of these claims that they may not be ours, and answers the ids of those that there were to be told. */
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
    this.#dropUnstarted();
    for (const attempt of this.#attempts) {
      attempt.abort(why === "stopping" ? new WorkerStoppingError(attempt.job) : new LeaseLostError(attempt.job));
    }
  }

  #unfinishedAttempts(claims: readonly statements.Claim[]): Attempt[] {
    if (claims.length === 0 || this.#attempts.size === 0) return [];
    const wanted = new Set(claims.map(({ id, token }) => `${id} ${token}`));
    return [...this.#attempts].filter(
      ({ job: { id, token }, hasEnded, isCompletedInTransaction }) =>
        !hasEnded && !isCompletedInTransaction && wanted.has(`${id} ${token}`),
    );
  }

  #take(job: statements.ClaimedJob, handler: Handler): Attempt {
    const attempt = new Attempt(job, handler, { graceMs: this.#graceMs, cipher: this.#cipher, logger: this.#logger });
    this.#attempts.add(attempt);
    return attempt;
  }

  async #carryOut(attempt: Attempt, lane: Lane): Promise<void> {
    const { limit, appetite } = lane;
    lane.given += 1;
    if (limit.activeCount >= limit.concurrency) this.#watch(lane); // it has to wait
    let ending: Ending;
    try {
      ending = await limit(async () => {
        lane.left += 1;
        const startedAt = performance.now();
        if (!this.#isLeaseHeld(startedAt)) return { kind: "interrupted" }; // others may run it: nothing starts on a lost lease
        this.#events.tell("started", attempt.job);
        const ended = await attempt.run();
        attempt.durationMs = performance.now() - startedAt;
        return ended;
      });
      appetite.attemptEnded();
    } catch {
      lane.left += 1;
      ending = { kind: "interrupted" }; // the limit was cleared before its turn came
    }
    this.#end(attempt, ending);
    if (this.wanted(attempt.job.queue) > 0) lane.onSlotFree();
  }

  /** A job that was there whenever a worker died runs by itself: if it is the cause, it takes no other along (FM-24). */
  async #carryOutAlone(attempt: Attempt, lane: Lane): Promise<void> {
    const { job } = attempt;
    this.#logger.warn(
      { jobId: job.id, queue: job.queue, type: job.type, crashCount: job.crashCount },
      "job was running when workers died: it runs alone this time",
    );
    const isAdmitted = await this.#quarantine.enter(this.#attempts.size === 1);
    try {
      if (isAdmitted) await this.#carryOut(attempt, lane);
      else this.#end(attempt, { kind: "interrupted" });
    } finally {
      this.#quarantine.leave();
    }
    this.#offerSlots();
  }

  #end(attempt: Attempt, ending: Ending): void {
    const { job } = attempt;
    attempt.end();
    const handler = this.#handlers.get(job.type);
    const decided = decideOutcome(job, ending, handler!.job.backoff);
    // What was completed in a transaction has most likely gone: it is no retry to come, unless that was rolled back.
    const outcome = attempt.isCompletedInTransaction ? decided : this.#lanes.get(job.queue)!.retries.spread(decided);
    this.#settler.settle(job, outcome, (settlement) => this.#settled(attempt, ending, outcome, settlement));
  }

  #settled(attempt: Attempt, ending: Ending, outcome: Outcome, settlement: Settlement): void {
    const { job, durationMs } = attempt;
    this.#attempts.delete(attempt);
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
    if (this.#attempts.size === 1) this.#quarantine.othersLeft();
    if (this.#attempts.size === 0) {
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    }
    if (this.#isPaused && this.#settler.backlog <= mostBacklog) this.#offerSlots();
  }

  #offerSlots(): void {
    for (const [queue, { onSlotFree }] of this.#lanes) if (this.wanted(queue) > 0) onSlotFree();
  }

  #dropUnstarted(): void {
    for (const { limit } of this.#lanes.values()) limit.clearQueue();
  }

  /** While jobs wait for a slot, looks whether the first of them has waited too long. */
  #watch(lane: Lane): void {
    const given: number[] = [];
    lane.watch ??= setInterval(() => {
      if (lane.limit.pendingCount === 0) {
        clearInterval(lane.watch);
        lane.watch = undefined;
        return;
      }
      given.push(lane.given);
      if (given.length <= overdue.looks || lane.left >= given.shift()!) return;
      lane.appetite.forget();
      lane.limit.clearQueue();
    }, overdue.everyMs);
  }

  #report({ id, queue, type, attempt, maxAttempts }: statements.ClaimedJob, outcome: Outcome, durationMs: number) {
    if (outcome.state === "completed" && this.#logger.isLevelEnabled?.("debug") === false) return;
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
