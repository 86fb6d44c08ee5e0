import {
  backoffMs,
  type Database,
  errorText,
  type Queryable,
  isRejection,
  type Logger,
  type Outcome,
  orLate,
  statements,
} from "@hark/core";
import type { Part } from "../runtime/part.ts";
import { sleep } from "../runtime/sleep.ts";
import { WakeUp } from "../runtime/wake-up.ts";

/** "settled": written. "refused": the claim no longer holds, so nothing was touched. */
export type Settlement = "settled" | "refused";

/** A claim whose job may hold up others of its key. */
type KeyedClaim = Pick<statements.ClaimedJob, "id" | "token" | "key">;

interface Entry {
  readonly claim: KeyedClaim;
  outcome: Outcome;
  readonly done: (settlement: Settlement) => void;
  /** An earlier try ended without an answer, so it may have been written then. */
  isDoubtful: boolean;
  /** A claim that took it along failed: it is written without one. */
  isLeftBehind: boolean;
}

/** Successes that a claim settles in its own commit; one of the two methods is called once it is answered. */
export interface Companions {
  readonly completions: statements.Completions;
  /** The claim committed, and moved all but these ids. */
  written(refused: ReadonlySet<bigint>): void;
  /** The claim failed: they are written without one. */
  failed(error: unknown): void;
}

/** Most outcomes in one statement, as many as in one claim, which takes them along. */
const batchSize = 1_000;

/**
 * From one flush to the next while outcomes keep coming, in ms. Each flush is a durable commit that those of producers have to share
 * the disk with (docs/decisions/0027). Nothing waits for it that others wait for.
 */
const gatherMs = 5;

/** Longest wait for a claim that is under way and will soon take outcomes along, in ms. */
const claimPatienceMs = 20;

/** Between tries while the database does not answer: 0.1 s doubling to 5 s, half of it random. */
const afterFailure = { baseMs: 100, factor: 2, capMs: 5_000, jitter: 0.5 };

/**
 * Writes outcomes, fenced by their tokens. Single-flight: flushes at once when idle and gathers for some ms when busy, so that
 * batches grow by themselves under load; a claim of a deep queue takes successes along. An outcome is kept until the database took
 * or refused it; a batch that the database rejects is tried in halves, so that one bad row stops nobody (FM-16).
 */
export class Settler implements Part {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #onMoved: (jobs: number) => void;
  readonly #giveUp = new AbortController();
  #waiting: Entry[] = [];
  #flushing: Promise<void> | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  readonly #hurry = new WakeUp();
  #inFlight = 0;
  /** Claims under way that settle along, and what ends when there is none. */
  #claims = 0;
  #noClaims = Promise.withResolvers<void>();

  /** `onMoved` hears how many jobs each statement moved. */
  constructor({ db, logger, onMoved }: { db: Database; logger: Logger; onMoved: (jobs: number) => void }) {
    this.#db = db;
    this.#logger = logger;
    this.#onMoved = onMoved;
  }

  /** Outcomes not written yet: while the database is slow, claiming more would only lengthen the list. */
  get backlog(): number {
    return this.#waiting.length + this.#inFlight;
  }

  start(): void {}

  /** Writes what waits and resolves; give up with {@link abandon} if the database does not come back. */
  async stop(): Promise<void> {
    while (this.#flushing) await this.#flushing;
  }

  /** Ends a stop() that waits for a database which does not answer: what is left is rescued when the lease runs out. */
  abandon(): void {
    this.#giveUp.abort();
  }

  /** Writes an outcome as soon as may be, and calls `done` when the database took or refused it. */
  settle(claim: KeyedClaim, outcome: Outcome, done: (settlement: Settlement) => void): void {
    const entry = { claim, outcome, done, isDoubtful: false, isLeftBehind: false };
    this.#waiting.push(entry);
    if (isUrgent(entry) || this.#waiting.length >= batchSize) this.#hurry.ring();
    this.#flushing ??= this.#flush();
  }

  /** Takes the successes that wait out of the next flush, for a claim to settle in its own commit; undefined if there are none. */
  takeAlong(): Companions | undefined {
    const entries = this.#take(({ outcome, isLeftBehind }) => outcome.state === "completed" && !isLeftBehind);
    if (entries.length === 0) return undefined;
    this.#claims += 1;
    const answered = () => {
      this.#inFlight -= entries.length;
      this.#claims -= 1;
      if (this.#claims > 0) return;
      this.#noClaims.resolve();
      this.#noClaims = Promise.withResolvers();
    };
    return {
      completions: completionsOf(entries),
      written: (refused) => {
        answered();
        this.#tell(entries, refused);
      },
      failed: (error) => {
        answered();
        for (const entry of entries) {
          entry.isLeftBehind = true;
          entry.isDoubtful = !isRejection(error);
        }
        this.#waiting.unshift(...entries);
        this.#flushing ??= this.#flush();
      },
    };
  }

  /** Takes the oldest of those wanted out of what waits, no two of one job: a lost claim's late outcome goes by itself. */
  #take(isWanted: (entry: Entry) => boolean): Entry[] {
    const taken = new Map<bigint, Entry>();
    const left: Entry[] = [];
    for (const entry of this.#waiting) {
      const goes = taken.size < batchSize && isWanted(entry) && !taken.has(entry.claim.id);
      if (goes) taken.set(entry.claim.id, entry);
      else left.push(entry);
    }
    this.#waiting = left;
    this.#inFlight += taken.size;
    return [...taken.values()];
  }

  async #flush(): Promise<void> {
    await endOfTurn(); // jobs that end in the same turn of the event loop come along, and a claim due in it takes them first
    while (this.#waiting.length > 0 && !this.#giveUp.signal.aborted) {
      if (this.#claims > 0) {
        await orLate(this.#noClaims.promise, claimPatienceMs);
        await endOfTurn();
      }
      await this.#gather();
      const batch = this.#take(() => true);
      if (batch.length > 0) this.#flushedAt = performance.now(); // else a claim took them along
      for (const state of ["completed", "scheduled", "dead"] as const) {
        const entries = batch.filter(({ outcome }) => outcome.state === state);
        if (entries.length > 0) await this.#write(entries);
      }
      this.#inFlight -= batch.length;
      // A cancelled job's row went when it was cancelled: there is nothing to write.
      for (const { outcome, done } of batch) if (outcome.state === "cancelled") done("refused");
    }
    for (const { done } of this.#waiting.splice(0)) done("refused"); // only after abandon()
    this.#flushing = undefined; // in the same turn as the last look, or an outcome in between would wait for the next
  }

  /** Until the last flush is {@link gatherMs} ago, or there is something that cannot wait. */
  async #gather(): Promise<void> {
    const hurry = this.#hurry.arm();
    const restMs = this.#flushedAt + gatherMs - performance.now();
    if (restMs <= 0 || this.#waiting.length >= batchSize || this.#waiting.some(isUrgent)) return;
    await sleep(restMs, { until: hurry, signal: this.#giveUp.signal });
  }

  async #write(entries: Entry[]): Promise<void> {
    for (let failures = 1; !this.#giveUp.signal.aborted; failures += 1) {
      try {
        const moved = new Set((await writeOutcomes(this.#db, entries)).map(({ id }) => id));
        this.#tell(entries, new Set(entries.map(({ claim }) => claim.id).filter((id) => !moved.has(id))));
        return;
      } catch (error) {
        if (isRejection(error)) return this.#writeInHalves(entries, error);
        for (const entry of entries) entry.isDoubtful = true;
        this.#logger.error(
          { error, outcomes: entries.length, failures },
          "outcomes could not be written, will try again",
        );
        await sleep(backoffMs(afterFailure, failures), { signal: this.#giveUp.signal });
      }
    }
    for (const { done } of entries) done("refused");
  }

  #tell(entries: readonly Entry[], refused: ReadonlySet<bigint>): void {
    this.#onMoved(entries.length - refused.size);
    for (const { claim, done, isDoubtful } of entries)
      done(refused.has(claim.id) && !isDoubtful ? "refused" : "settled");
  }

  async #writeInHalves(entries: Entry[], rejection: unknown): Promise<void> {
    const [only] = entries;
    if (entries.length > 1 || !only) {
      const middle = Math.ceil(entries.length / 2);
      await this.#write(entries.slice(0, middle));
      return this.#write(entries.slice(middle));
    }
    const { claim, outcome } = only;
    this.#logger.error(
      { jobId: claim.id, error: rejection, outcome: outcome.state },
      "the database rejected an outcome",
    );
    if (outcome.state === "dead") return only.done("refused"); // even a plain text was rejected: upkeep hands the job back
    const error = `the outcome "${outcome.state}" could not be stored: ${errorText(rejection)}`;
    only.outcome = { state: "dead", ending: "fatal", reason: "unrecoverable", error };
    await this.#write([only]);
  }
}

/** The next of its key may be parked until this is written; and what has not succeeded is rare, and told to somebody. */
const isUrgent = ({ claim, outcome }: Entry): boolean => claim.key !== undefined || outcome.state !== "completed";

const endOfTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

function completionsOf(entries: readonly Entry[]): statements.Completions {
  return statements.completionsOf(
    entries.map(({ claim: { id, token }, outcome }) => ({
      id,
      token,
      resultJson: outcome.state === "completed" ? outcome.resultJson : null,
    })),
  );
}

function writeOutcomes(db: Queryable, entries: Entry[]): Promise<{ id: bigint }[]> {
  const rows = () => entries.map(({ claim: { id, token }, outcome }) => ({ id, token, ...outcome }));
  switch (entries[0]?.outcome.state) {
    case "completed":
      return statements.completeJobs(db, completionsOf(entries));
    case "scheduled":
      return statements.retryJobs(db, statements.retriedOf(rows() as never));
    default:
      return statements.buryJobs(db, statements.buriedOf(rows() as never));
  }
}
