import type { Database, Logger, Outcome } from "@hark/core";
import { backoffMs, isLockedOut, isRejection, orLate } from "@hark/core/internal";
import type { NextOfKey } from "../claim/next-of-key.ts";
import { bisect } from "../runtime/bisect.ts";
import { TypedEvent } from "../runtime/event.ts";
import type { Part } from "../runtime/part.ts";
import { sleep } from "../runtime/sleep.ts";
import { WakeUp } from "../runtime/wake-up.ts";
import { LockedOutcomes } from "./locked-outcomes.ts";
import { RefusedOutcomes } from "./refused-outcomes.ts";
import { isUrgent, type KeyedClaim, type Settlement, type Unsettled, writeOutcomes } from "./unsettled.ts";

/** Most outcomes in one statement, as many as in one claim, which may carry them. */
const batchSize = 1_000;

/**
 * Outcomes that may wait to be written before claiming pauses: a database this slow needs no more
 * work.
 */
const mostBacklog = 2_000;

/**
 * From one flush to the next while outcomes keep coming, in ms. Each flush is a durable commit, and
 * producers' commits share the disk with it (docs/decisions/0027). An outcome that others wait for
 * skips this interval.
 */
const flushIntervalMs = 5;

/**
 * Longest wait of a flush for a running claim that settles outcomes, in ms. The next claim may
 * settle the waiting ones.
 */
const claimPatienceMs = 20;

/** Between tries while the database does not answer: 0.1 s doubling to 5 s, half of it random. */
const afterFailure = { baseMs: 100, factor: 2, capMs: 5_000, jitter: 0.5 };

/** How long a stop waits for unwritten outcomes, in ms. */
export const flushDeadlineMs = 5_000;

/**
 * Writes outcomes, fenced by their tokens, one flush at a time. When idle it flushes at once, and
 * when busy after some ms, so that batches grow by themselves under load; a claim of a deep queue
 * may carry successes (see piggyback.ts). An outcome is kept until the database took or refused it.
 * A batch that the database rejects is bisected, so that one bad row does not stop the others
 * (FM-16).
 */
export class Settler implements Part {
  /** The number of jobs that one statement settled. */
  readonly moved: TypedEvent<number> = new TypedEvent();
  /** The settler was behind when last asked, and no longer is. */
  readonly caughtUp: TypedEvent = new TypedEvent();
  readonly #db: Database;
  readonly #nextOfKey: NextOfKey | undefined;
  readonly #logger: Logger;
  readonly #giveUp = new AbortController();
  readonly #refused: RefusedOutcomes;
  readonly #locked: LockedOutcomes;
  #waiting: Unsettled[] = [];
  #inFlight = 0;
  #wasBehind = false;
  #flushing: Promise<void> | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  readonly #hurry = new WakeUp();
  /** Claims on their way that carry outcomes. */
  #carriers = 0;
  #noCarriers = Promise.withResolvers<void>();

  constructor({ db, nextOfKey, logger }: { db: Database; nextOfKey?: NextOfKey; logger: Logger }) {
    this.#db = db;
    this.#nextOfKey = nextOfKey;
    this.#logger = logger;
    this.#locked = new LockedOutcomes({
      db,
      comeBack: (entry) => this.putBack([entry]),
      giveUp: this.#giveUp.signal,
    });
    this.#refused = new RefusedOutcomes({
      comeBack: (entry) => this.putBack([entry]),
      write: (entries) => this.#write(entries),
      writeOnce: (entries) => this.#writeOnce(entries),
      giveUp: (entry) => this.#refuse([entry]),
      logger,
    });
  }

  /** True if so many outcomes wait that claiming more jobs would not help. */
  get isBehind(): boolean {
    return (this.#wasBehind = this.#waiting.length + this.#inFlight > mostBacklog);
  }

  /** Writes what waits, and gives up after some seconds without an answer. */
  async stop(): Promise<void> {
    this.lastCall();
    await orLate(this.#flushed(), flushDeadlineMs);
    this.abandon(); // or unwritten outcomes would be retried for ever, and keep the process alive
  }

  /** Tries refused outcomes once more, now, and buries the jobs of those that are refused again. */
  lastCall(): void {
    this.#refused.lastCall();
  }

  /** Gives up the unwritten outcomes. Their jobs are rescued when the lease runs out. */
  abandon(): void {
    this.#giveUp.abort();
    this.#refused.lastCall();
  }

  /**
   * Writes an outcome as soon as possible, and calls `done` when the database has accepted or
   * refused it.
   */
  settle(claim: KeyedClaim, outcome: Outcome, done: (settlement: Settlement) => void): void {
    const entry: Unsettled = {
      claim,
      outcome,
      done,
      isDoubtful: false,
      isLeftBehind: false,
      isLocked: false,
      refusals: 0,
      refusedAt: undefined,
    };
    this.#waiting.push(entry);
    if (isUrgent(entry) || this.#waiting.length >= batchSize) this.#hurry.ring();
    this.#flushing ??= this.#flush();
  }

  /**
   * Takes the oldest fitting outcomes, at most one for each job. The late outcome of a lost claim
   * is written by itself. End with tell(), or with putBack() if they were not written.
   */
  take(isFit: (entry: Unsettled) => boolean): Unsettled[] {
    const taken = new Map<bigint, Unsettled>();
    const left: Unsettled[] = [];
    for (const entry of this.#waiting) {
      const goes = taken.size < batchSize && isFit(entry) && !taken.has(entry.claim.id);
      if (goes) taken.set(entry.claim.id, entry);
      else left.push(entry);
    }
    this.#waiting = left;
    this.#inFlight += taken.size;
    return [...taken.values()];
  }

  /** Outcomes that were taken are written, all but those of the `refused` ids. */
  tell(entries: readonly Unsettled[], refused: ReadonlySet<bigint>): void {
    this.#inFlight -= entries.length;
    this.moved.emit(entries.length - refused.size);
    for (const { claim, outcome, done, isDoubtful } of entries)
      done(refused.has(claim.id) && !isDoubtful ? "refused" : outcome);
    this.#checkBacklog();
  }

  /** Outcomes that were taken are not written: the next flush writes them. */
  putBack(entries: readonly Unsettled[]): void {
    this.#inFlight -= entries.length;
    this.#waiting.unshift(...entries);
    this.#flushing ??= this.#flush();
  }

  /**
   * Notes that a claim that settles outcomes is running. A flush waits for it for a moment, until
   * the returned function is called.
   */
  holdFlush(): () => void {
    this.#carriers += 1;
    return () => {
      this.#carriers -= 1;
      if (this.#carriers > 0) return;
      this.#noCarriers.resolve();
      this.#noCarriers = Promise.withResolvers();
    };
  }

  async #flushed(): Promise<void> {
    while (this.#flushing) await this.#flushing;
  }

  async #flush(): Promise<void> {
    await endOfTurn(); // waits for jobs that end in the same turn of the event loop, and for a claim in it that takes outcomes
    while (this.#waiting.length > 0 && !this.#giveUp.signal.aborted) {
      if (this.#carriers > 0) {
        await orLate(this.#noCarriers.promise, claimPatienceMs);
        await endOfTurn();
      }
      await this.#untilDue();
      const batch = this.take(() => true);
      if (batch.length > 0) this.#flushedAt = performance.now(); // else a claim took them
      for (const state of ["completed", "scheduled", "dead"] as const) {
        const entries = batch.filter(({ outcome }) => outcome.state === state);
        const fresh = entries.filter(({ refusals }) => refusals === 0);
        if (fresh.length > 0) await this.#write(fresh);
        if (fresh.length < entries.length)
          await this.#refused.writeAgain(entries.filter(({ refusals }) => refusals > 0));
      }
      // A cancelled job's row went when it was cancelled: there is nothing to write.
      this.#refuse(batch.filter(({ outcome }) => outcome.state === "cancelled"));
    }
    for (const { done } of this.#waiting.splice(0)) done("refused"); // only after abandon()
    this.#flushing = undefined; // in the same turn as the last check, or an outcome in between would wait for the next
  }

  /** Waits until {@link flushIntervalMs} after the last flush, or until an urgent outcome comes. */
  async #untilDue(): Promise<void> {
    const hurry = this.#hurry.arm();
    const restMs = this.#flushedAt + flushIntervalMs - performance.now();
    if (restMs <= 0 || this.#waiting.length >= batchSize || this.#waiting.some(isUrgent)) return;
    await sleep(restMs, { until: hurry, signal: this.#giveUp.signal });
  }

  /** Writes outcomes of one state, and bisects them if the database rejects them. */
  #write(entries: readonly Unsettled[]): Promise<void> {
    return bisect(entries, {
      move: (some) => this.#writeOnce(some),
      alone: (entry, rejection) => this.#refused.add(entry, rejection),
      isRowsFault: isRejection,
    });
  }

  /**
   * Tries until the database answers. Throws its rejection. Outcomes whose rows are locked are set
   * aside.
   */
  async #writeOnce(given: readonly Unsettled[]): Promise<void> {
    let entries = given;
    let mayBeLocked = entries.some(({ isLocked }) => isLocked);
    for (let failures = 1; !this.#giveUp.signal.aborted; failures += 1) {
      try {
        if (mayBeLocked) entries = await this.#locked.setAside(entries);
        if (entries.length === 0) return;
        const moved = new Set((await this.#writeOutcomes(entries)).map(({ id }) => id));
        return this.tell(entries, new Set(entries.map(({ claim }) => claim.id).filter((id) => !moved.has(id))));
      } catch (error) {
        if (isRejection(error)) throw error;
        mayBeLocked = isLockedOut(error);
        for (const entry of entries) entry.isDoubtful = true;
        this.#logger.error(
          { error, outcomes: entries.length, failures },
          "outcomes could not be written, will try again",
        );
        await sleep(backoffMs(afterFailure, failures), { signal: this.#giveUp.signal });
      }
    }
    this.#refuse(entries);
  }

  #writeOutcomes(entries: readonly Unsettled[]): Promise<{ id: bigint }[]> {
    const next = this.#nextOfKey;
    if (next && entries.some((entry) => next.takes(entry))) return next.complete(this.#db, entries);
    return writeOutcomes(this.#db, entries);
  }

  #refuse(entries: readonly Unsettled[]): void {
    this.#inFlight -= entries.length;
    for (const { done } of entries) done("refused");
    this.#checkBacklog();
  }

  #checkBacklog(): void {
    if (this.#wasBehind && !this.isBehind) this.caughtUp.emit();
  }
}

const endOfTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
