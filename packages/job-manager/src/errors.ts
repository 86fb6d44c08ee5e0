import { HarkError } from "@hark/core";

/** A JobManager was used before initialize(), or after stop(). */
export class NotInitializedError extends HarkError {
  constructor(method: string) {
    super(
      "NOT_INITIALIZED",
      { method },
      `${method}() was called on a JobManager that is not initialised, or was stopped. Call and await initialize() first. ` +
        `Nothing was written.`,
    );
  }
}

/** A JobManager was started without a processor. */
export class NoProcessorError extends HarkError {
  constructor() {
    super(
      "NO_PROCESSOR",
      {},
      "The JobManager was not started: it has nothing to run jobs with. Call setJobProcessor(async (job) => ...) before start().",
    );
  }
}

/** A PostgresQueue was used after close(). */
export class QueueClosedError extends HarkError {
  constructor(method: string) {
    super(
      "QUEUE_CLOSED",
      { method },
      `${method}() was called on a PostgresQueue that is closed. Make a new one. Nothing was written.`,
    );
  }
}

/**
 * The processor answered `success: false`: a failed attempt, with the processor's own words as its
 * text.
 */
export class JobFailedError extends HarkError {
  constructor(errors: readonly string[]) {
    super("JOB_FAILED", { errors }, errors.join("; ") || "the processor answered success: false and gave no errors");
    // The frames of Hark's own code would fill the dead letters and tell nobody anything.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** No dead letter has this index or id. */
export class DeadLetterNotFoundError extends HarkError {
  constructor(wanted: { index: number } | { id: string }) {
    const what = "index" in wanted ? `no dead letter at index ${wanted.index}` : `no dead letter ${wanted.id}`;
    super("DEAD_LETTER_NOT_FOUND", wanted, `There is ${what}: list them, and requeue by id. Nothing was changed.`);
  }
}

/** A dead letter cannot be requeued: another unfinished job has its unique key. */
export class UniqueKeyTakenError extends HarkError {
  constructor(id: string) {
    super(
      "UNIQUE_KEY_TAKEN",
      { jobId: id },
      `Job ${id} stays a dead letter: another unfinished job has its unique key. Requeue it when that one has finished.`,
    );
  }
}
