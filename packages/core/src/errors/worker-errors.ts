import { HarkError } from "./hark-error.ts";

/** start() or run() of a worker that was stopped, or that stops. */
export class WorkerStoppedError extends HarkError {
  constructor(worker: string) {
    super(
      "WORKER_STOPPED",
      { worker },
      `The worker ${worker} was stopped, so it cannot start: it runs no job. Make a new one with createWorker() and start that.`,
    );
  }
}
