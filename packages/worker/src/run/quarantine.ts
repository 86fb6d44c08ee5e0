import { orLate, type statements } from "@hark/core/internal";
import { TypedEvent } from "../runtime/event.ts";

/**
 * Crashes after which a job counts as the likely cause. One is too few: every job that ran at the
 * same time has one too, and all of them would run one by one (docs/decisions/0007).
 */
const suspectAfter = 2;

/**
 * How long a suspect waits to run alone, in ms. After that it runs even if other jobs have not
 * ended.
 */
const patienceMs = 60_000;

/**
 * Keeps a job that was running when workers died apart from the others of its process, one at a
 * time (FM-24). While it waits nothing more is claimed; the jobs that run come to their end first.
 */
export class Quarantine {
  /** The job that was alone here has ended. */
  readonly left: TypedEvent = new TypedEvent();
  readonly #suspectAfter: number;
  #isTaken = false;
  #isRunning = false;
  #isClosed = false;
  #turn = Promise.withResolvers<void>();

  /** @param isOn False where callers run the jobs: then no job is a suspect */
  constructor({ isOn = true } = {}) {
    this.#suspectAfter = isOn ? suspectAfter : Number.POSITIVE_INFINITY;
  }

  /** Returns whether a job was running at so many deaths of workers that it must run alone. */
  isSuspect({ crashCount }: Pick<statements.ClaimedJob, "crashCount">): boolean {
    return crashCount >= this.#suspectAfter;
  }

  /** True while a suspect waits or runs. Then no other job is claimed. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /**
   * Returns whether a claimed job may go on now. If not, hand it back. Reserves the place for a
   * suspect.
   */
  admits(job: statements.ClaimedJob): boolean {
    if (this.#isRunning || this.#isClosed) return false;
    if (!this.isSuspect(job)) return true;
    if (this.#isTaken) return false;
    return (this.#isTaken = true);
  }

  /** Resolves once the other jobs have ended, with false if the worker stops before. */
  async enter(isAlone: boolean): Promise<boolean> {
    if (!isAlone) await orLate(this.#turn.promise, patienceMs);
    this.#isRunning = !this.#isClosed;
    return this.#isRunning;
  }

  leave(): void {
    this.#isTaken = this.#isRunning = false;
    this.#turn = Promise.withResolvers();
    this.left.emit();
  }

  /** Only the job that waits here is left. */
  othersLeft(): void {
    if (this.#isTaken) this.#turn.resolve();
  }

  /** Nothing begins here any more. */
  close(): void {
    this.#isClosed = true;
    this.#turn.resolve();
  }
}
