import type { JobContext } from "@hark/worker/internal";
import { type EndedClaim, type Rows, wordFor } from "./rows.ts";
import type { World } from "./world.ts";

/** What the witness needs to know of a process. */
export interface Runner {
  readonly name: string;
  readonly concurrency: number;
  /** It was killed, or its main thread stands still. */
  readonly isCutOff: boolean;
}

export type RunEnd = "returned" | "threw" | "snoozed";

/** One run of a handler, as an eyewitness has it. */
export interface Run {
  readonly id: bigint;
  readonly token: string;
  readonly queue: string;
  readonly key: string | undefined;
  readonly process: Runner;
  readonly signal: AbortSignal;
  toldAt: number | undefined;
  /** Its key is free from then on, and a word of it is on its way, which may be lost. */
  isCancelled: boolean;
  end: RunEnd | undefined;
}

/** What an attempt that ended so must have seen of its handler. */
const endsOf: Record<string, RunEnd> = { error: "threw", retry_after: "threw", fatal: "threw", snoozed: "snoozed" };

/**
 * Sees every handler and every move of a claim, and throws at the first that breaks what Hark
 * promises.
 */
export class Witness {
  readonly runs = new Map<string, Run>();
  /** Jobs whose enqueue was acknowledged. */
  readonly acknowledged = new Set<bigint>();
  /** Attempts of a job that count, as endings had them. */
  readonly counted = new Map<bigint, number>();
  readonly seen = { runs: 0, told: 0, rescued: 0, handedBack: 0 };
  readonly #world: World;
  readonly #rows: () => Rows;
  readonly #graceMs: number;

  constructor(world: World, rows: () => Rows, { graceMs }: { graceMs: number }) {
    this.#world = world;
    this.#rows = rows;
    this.#graceMs = graceMs;
  }

  /** A handler begins: nobody else who could still act for the job or its key may be at it. */
  began(context: JobContext, process: Runner): Run {
    try {
      return this.#began(context, process);
    } catch (error) {
      this.#world.fail(error); // thrown on alone, it would be one more failed attempt
      throw error;
    }
  }

  #began({ id, token, queue, key, signal }: JobContext, process: Runner): Run {
    const run: Run = { id, token, queue, key, process, signal, toldAt: undefined, isCancelled: false, end: undefined };
    this.#world.tell(`${process.name} begins ${id} under ${token.slice(0, 4)}`);
    if (this.runs.has(token + id)) broken(`job ${id} began twice under one claim`);
    for (const other of this.runs.values()) {
      if (other.end !== undefined || signal.aborted) continue;
      const isOfKey = key !== undefined && other.key === key && other.queue === queue;
      if (other.id !== id && !isOfKey) continue;
      if (other.signal.aborted || other.isCancelled || other.process.isCutOff) continue;
      broken(
        `${process.name} runs job ${id} while ${other.process.name} runs job ${other.id} and was not told to stop`,
      );
    }
    this.runs.set(token + id, run);
    this.seen.runs += 1;
    signal.addEventListener("abort", () => {
      run.toldAt = this.#world.now;
      this.seen.told += 1;
      this.#world.tell(`${process.name} is told to stop ${id}: ${String(signal.reason).slice(0, 60)}`);
    });
    const isLeft = ({ toldAt }: Run) => toldAt !== undefined && this.#world.now >= toldAt + this.#graceMs;
    const here = [...this.runs.values()].filter(
      (other) => other.process === process && other.queue === queue && other.end === undefined && !isLeft(other),
    );
    if (here.length > process.concurrency) broken(`${process.name} runs ${here.length} jobs of ${queue} at once`);
    return run;
  }

  /** How often a job has begun. */
  runsOf(id: bigint): number {
    return [...this.runs.values()].filter((run) => run.id === id).length;
  }

  ended(run: Run, end: RunEnd): void {
    run.end = end;
    this.#world.tell(`${run.process.name} ends ${run.id}: ${end}`);
  }

  /**
   * A claim comes to its end in the tables: only as its own run ended, and an attempt that was cut
   * short is given back.
   */
  moved({ id, token, worker, attempt, ending, place }: EndedClaim): void {
    const run = this.runs.get(token + id);
    const what = `job ${id} under ${token.slice(0, 4)}`;
    const where = place && wordFor(place);
    this.#world.tell(`${what} ends by ${ending} and is ${where}`);
    const isGivenBack = ending === "interrupted" || ending === "snoozed";
    if (!isGivenBack) this.#counts(id);
    if (place?.table === "jobs" && place.row.attempt !== (isGivenBack ? attempt - 1 : attempt))
      broken(`${what} went back after ${ending} with ${String(place.row.attempt)} attempts of ${attempt}`);
    switch (ending) {
      case "completed":
        if (run?.end !== "returned") broken(`${what} was completed, but its handler ${run?.end ?? "did not end"}`);
        break;
      case "interrupted":
        this.seen.handedBack += 1;
        if (run && !run.signal.aborted) broken(`${what} was handed back, but its handler was not told to stop`);
        break;
      case "crashed": {
        this.seen.rescued += 1;
        const owner = this.#rows().of(worker)[0];
        if (owner && owner.row.dead_at === null) broken(`${what} was rescued from a worker that lives`);
        break;
      }
      case "cancelled":
        if (run) run.isCancelled = true;
        break;
      case "timeout":
        if (!run?.signal.aborted) broken(`${what} timed out, but its handler was not told`);
        break;
      default:
        // A success that the database refuses to store buries the job.
        if (where === "dead_jobs" && run?.end === "returned" && String(place!.row.type).endsWith(".unstorable")) break;
        if (run?.end !== endsOf[ending]) broken(`${what} ended by ${ending}, but its handler ${run?.end}`);
    }
  }

  #counts(id: bigint): void {
    this.counted.set(id, (this.counted.get(id) ?? 0) + 1);
  }

  /** After whatever happened: each acknowledged job is in one place. */
  look(): void {
    for (const id of this.acknowledged) {
      const places = this.#rows().placesOf(id);
      if (places.length !== 1) broken(`job ${id} is in ${places.length} places: ${places.join(", ")}`);
    }
  }

  /** When all has come to rest: attempts are those that counted, no more. */
  lookBack(): void {
    for (const id of this.acknowledged) {
      const [end] = this.#rows().of(id);
      if (end?.table !== "finished_jobs" && end?.table !== "dead_jobs")
        broken(`job ${id} never came to its end: it is ${this.#rows().placesOf(id).join()}`);
      const counted = this.counted.get(id) ?? 0;
      if (end.row.state !== "cancelled" && end.row.attempt !== counted)
        broken(`job ${id} ended with ${String(end.row.attempt)} attempts, and ${counted} of them counted`);
    }
  }
}

/** A promise of Hark's does not hold. */
class BrokenPromise extends Error {}

export function broken(what: string): never {
  throw new BrokenPromise(what);
}
