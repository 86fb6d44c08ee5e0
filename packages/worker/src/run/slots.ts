import pLimit, { type LimitFunction } from "p-limit";
import { Prefetch } from "../claim/prefetch.ts";
import { TypedEvent } from "../runtime/event.ts";
import type { Settler } from "../settle/settler.ts";
import type { Quarantine } from "./quarantine.ts";

/**
 * A job that was claimed ahead and has not begun after this many looks, this many ms apart, goes
 * back to its queue: another process may be idle. Looks compare how many jobs had come by then,
 * which takes no time stamp for each job.
 */
const overdue = { looks: 6, everyMs: 10 };

/** The work that runs in a slot. */
export interface Runnable<Result> {
  run(): Promise<Result>;
}

/**
 * One queue's slots: at most so many of its jobs run at once. p-limit bounds what runs, and holds
 * the few jobs that were claimed ahead (see {@link Prefetch}).
 */
export class Slots {
  readonly queue: string;
  /** More jobs are wanted than are here or being claimed. */
  readonly free: TypedEvent = new TypedEvent();
  readonly #limit: LimitFunction;
  readonly #prefetch: Prefetch;
  readonly #settler: Settler;
  readonly #quarantine: Quarantine;
  #capacity: number;
  /** Jobs that have come, and those of them that have begun or were dropped. */
  #come = 0;
  #gone = 0;
  /** Jobs that claims on their way have asked for. */
  #reserved = 0;
  #watch: NodeJS.Timeout | undefined;

  constructor(parts: {
    queue: string;
    /** How many may run at once; 0 claims nothing until resize() opens a slot. */
    capacity: number;
    /** Whether jobs may be claimed before their slot is free. */
    isPrefetching: boolean;
    settler: Settler;
    quarantine: Quarantine;
  }) {
    this.queue = parts.queue;
    this.#capacity = parts.capacity;
    this.#limit = pLimit({ concurrency: Math.max(parts.capacity, 1), rejectOnClear: true });
    this.#prefetch = new Prefetch(parts.capacity, parts.isPrefetching ? {} : { mostAhead: 0 });
    this.#settler = parts.settler;
    this.#quarantine = parts.quarantine;
    parts.settler.caughtUp.on(() => this.offer());
    parts.quarantine.left.on(() => this.offer());
  }

  /** How many jobs may run at once. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Opens or closes slots. Jobs that run in a slot that is closed go on. */
  resize(capacity: number): void {
    this.#capacity = this.#prefetch.capacity = capacity;
    this.#limit.concurrency = Math.max(capacity, 1); // p-limit does not allow 0, and with capacity 0 nothing is claimed
    this.offer();
  }

  /** Whether the queue's jobs run one after the other. */
  get isSerial(): boolean {
    return this.#capacity === 1;
  }

  /**
   * Returns how many more jobs to claim now. It is 0 if the jobs here and those being claimed are
   * enough. It is 0 while outcomes pile up, because a database that slow needs no more work. And it
   * is 0 while a suspect job must run alone.
   */
  get demand(): number {
    if (this.#settler.isBehind || this.#quarantine.isTaken) return 0;
    return this.#prefetch.demand(this.#limit.activeCount + this.#limit.pendingCount + this.#reserved);
  }

  /**
   * Notes that a claim asks for `jobs` jobs. They count as here until the returned function is
   * called.
   */
  reserve(jobs: number): () => void {
    let reserved = jobs;
    this.#reserved += reserved;
    return () => {
      this.#reserved -= reserved;
      reserved = 0;
    };
  }

  /** Runs a job once a slot is free; rejects if it was dropped before. */
  run<Result>(job: Runnable<Result>): Promise<Result> {
    this.#come += 1;
    if (this.#limit.activeCount >= this.#limit.concurrency) this.#watchWaiting();
    return this.#limit(this.#begin, job) as Promise<Result>;
  }

  readonly #begin = async (job: Runnable<unknown>): Promise<unknown> => {
    this.#gone += 1;
    const result = await job.run();
    this.#prefetch.attemptEnded();
    return result;
  };

  /** Drops the jobs that wait for a slot. */
  dropWaiting(): void {
    this.#gone += this.#limit.pendingCount;
    this.#limit.clearQueue();
  }

  /** Tells the claimers if more jobs are wanted. */
  offer(): void {
    if (this.demand > 0) this.free.emit();
  }

  /** While jobs wait for a slot, looks whether the first of them has waited too long. */
  #watchWaiting(): void {
    if (this.#watch) return;
    const come: number[] = [];
    this.#watch = setInterval(() => {
      if (this.#limit.pendingCount === 0) {
        clearInterval(this.#watch);
        this.#watch = undefined;
        return;
      }
      come.push(this.#come);
      if (come.length <= overdue.looks || this.#gone >= come.shift()!) return;
      this.#prefetch.forget();
      this.dropWaiting();
    }, overdue.everyMs);
  }
}
