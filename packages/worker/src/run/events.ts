import { EventEmitter } from "node:events";
import type { Logger, Outcome } from "@hark/core";
import type { statements } from "@hark/core/internal";

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

/** Emits events. A listener that throws is logged, and does not affect the job. */
export class WorkerEvents extends EventEmitter<WorkerEventMap> {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    super();
    this.#logger = logger;
  }

  tell<Name extends keyof WorkerEventMap>(name: Name, ...facts: WorkerEventMap[Name]): void {
    try {
      this.emit(name, ...(facts as never));
    } catch (error) {
      this.#logger.error({ event: name, error }, "an event listener threw");
    }
  }
}
