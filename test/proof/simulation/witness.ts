import type { JobContext } from "@hark/worker";
import type { Move, Running, Tables } from "./tables.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

export type RunEnd = "returned" | "threw" | "snoozed";

/** One run of a handler, as an eyewitness has it. */
export interface Run {
  readonly id: bigint;
  readonly token: string;
  readonly queue: string;
  readonly key: string | undefined;
  readonly process: Process;
  readonly signal: AbortSignal;
  toldAt: number | undefined;
  /** Its key is free from then on, and a word of it is on its way, which may be lost. */
  isCancelled: boolean;
  end: RunEnd | undefined;
}

/** What an attempt that ended so must have seen of its handler. */
const endsOf: Record<string, RunEnd> = { error: "threw", retry_after: "threw", fatal: "threw", snoozed: "snoozed" };

/** Sees every handler and every move of a claim, and throws at the first that breaks what Hark promises. */
export class Witness {
  readonly runs = new Map<string, Run>();
  /** Jobs whose enqueue was acknowledged. */
  readonly acknowledged = new Set<bigint>();
  /** Attempts of a job that count, as endings had them. */
  readonly counted = new Map<bigint, number>();
  readonly seen = { runs: 0, told: 0, rescued: 0, handedBack: 0 };
  readonly #world: World;
  readonly #tables: () => Tables;
  readonly #graceMs: number;

  constructor(world: World, tables: () => Tables, { graceMs }: { graceMs: number }) {
    this.#world = world;
    this.#tables = tables;
    this.#graceMs = graceMs;
  }

  /** A handler begins: nobody else who could still act for the job or its key may be at it. */
  began(context: JobContext, process: Process): Run {
    try {
      return this.#began(context, process);
    } catch (error) {
      this.#world.fail(error); // thrown on alone, it would be one more failed attempt
      throw error;
    }
  }

  #began({ id, token, queue, key, signal }: JobContext, process: Process): Run {
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

  /** A claim comes to its end in the tables: only as its own run ended, and an attempt that was cut short is given back. */
  moved({ job, token, worker }: Running, move: Move): void {
    const run = this.runs.get(token + job.id);
    const what = `job ${job.id} under ${token.slice(0, 4)}`;
    this.#world.tell(`${what} goes ${JSON.stringify(move)}`);
    switch (move.to) {
      case "completed":
        if (run?.end !== "returned") broken(`${what} was completed, but its handler ${run?.end ?? "did not end"}`);
        this.#counts(job.id);
        break;
      case "back": {
        const isGivenBack = move.ending === "interrupted" || move.ending === "snoozed";
        if (move.attempt !== (isGivenBack ? job.attempt - 1 : job.attempt))
          broken(`${what} went back after ${move.ending} with ${move.attempt} attempts of ${job.attempt}`);
        if (move.ending === "interrupted") {
          this.seen.handedBack += 1;
          if (run && !run.signal.aborted) broken(`${what} was handed back, but its handler was not told to stop`);
        } else if (move.ending === "timeout") {
          if (!run?.signal.aborted) broken(`${what} timed out, but its handler was not told`);
        } else if (run?.end !== endsOf[move.ending])
          broken(`${what} ended by ${move.ending}, but its handler ${run?.end}`);
        if (!isGivenBack) this.#counts(job.id);
        break;
      }
      case "dead":
        if (!run) broken(`${what} is a dead letter (${move.reason}), but no handler had it`);
        this.#counts(job.id);
        break;
      case "rescued": {
        this.seen.rescued += 1;
        this.#counts(job.id);
        const row = this.#tables().workers.get(worker);
        if (row && row.deadAt === undefined) broken(`${what} was rescued from a worker that lives`);
        break;
      }
      case "cancelled":
        if (run) run.isCancelled = true;
        this.#counts(job.id);
        break;
      default:
        move satisfies never;
    }
  }

  #counts(id: bigint): void {
    this.counted.set(id, (this.counted.get(id) ?? 0) + 1);
  }

  /** After whatever happened: each acknowledged job is in one place. */
  look(): void {
    for (const id of this.acknowledged) {
      const places = this.#tables().placesOf(id);
      if (places.length !== 1) broken(`job ${id} is in ${places.length} places: ${places.join(", ")}`);
    }
  }

  /** When all has come to rest: attempts are those that counted, no more. */
  lookBack(): void {
    const tables = this.#tables();
    for (const id of this.acknowledged) {
      const end = tables.finished.get(id) ?? tables.dead.get(id);
      if (!end) broken(`job ${id} never came to its end: it is ${tables.placesOf(id).join()}`);
      const counted = this.counted.get(id) ?? 0;
      const isCancelled = "state" in end && end.state === "cancelled";
      if (!isCancelled && end.attempt !== counted)
        broken(`job ${id} ended with ${end.attempt} attempts, and ${counted} of them counted`);
    }
  }
}

/** A promise of Hark's does not hold. */
class BrokenPromise extends Error {}

export function broken(what: string): never {
  throw new BrokenPromise(what);
}
