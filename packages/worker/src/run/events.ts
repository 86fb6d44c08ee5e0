import { captureRejectionSymbol, EventEmitter } from "node:events";
import type { Logger, Outcome } from "@hark/core";
import { spellsIds, type statements } from "@hark/core/internal";

/** Events of a worker's own jobs. Listeners run synchronously, so keep them short. */
export interface WorkerEventMap {
  /** An attempt began. */
  started: [job: statements.ClaimedJob];
  /** The outcome was written. */
  settled: [job: statements.ClaimedJob, outcome: Outcome, durationMs: number];
  /** The outcome was refused: another worker owns the job, or it was cancelled. */
  refused: [job: statements.ClaimedJob];
  /** The process lost its lease, and goes on under a new identity. */
  leaseLost: [];
}

/**
 * Emits events. A listener that throws, or whose promise rejects, is logged, and affects neither
 * the job nor the process.
 */
export class WorkerEvents extends EventEmitter<WorkerEventMap> {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    super({ captureRejections: true });
    this.#logger = logger;
  }

  /** Node calls this for a listener whose promise rejects. */
  override [captureRejectionSymbol](error: unknown, name: unknown, ..._facts: unknown[]): void {
    this.#logger.error({ event: name, error }, "an event listener rejected");
  }

  tell<Name extends keyof WorkerEventMap>(name: Name, ...facts: WorkerEventMap[Name]): void {
    if (this.listenerCount(name) === 0) return; // most workers have none
    const [job] = facts;
    if (job && Object.getPrototypeOf(job) === Object.prototype) Object.setPrototypeOf(job, spellsIds); // once a job
    try {
      this.emit(name, ...(facts as never));
    } catch (error) {
      this.#logger.error({ event: name, error }, "an event listener threw");
    }
  }
}
