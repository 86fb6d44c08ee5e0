import { HarkError } from "@hark/core";

/** A JobManager was used before initialize() or after stop(). */
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
      "The JobManager was not started, because it has no processor. Call setJobProcessor(async (job) => ...) before start().",
    );
  }
}

/** A PostgresQueue was used after close(). */
export class QueueClosedError extends HarkError {
  constructor(method: string) {
    super(
      "QUEUE_CLOSED",
      { method },
      `${method}() was called on a closed PostgresQueue. Make a new one. Nothing was written.`,
    );
  }
}

/**
 * A job was settled by its id alone, and this PostgresQueue has not dequeued it, or has settled it.
 */
export class JobNotDequeuedError extends HarkError {
  constructor(method: string, id: string) {
    super(
      "JOB_NOT_DEQUEUED",
      { method, jobId: id },
      `${method}() was called with the id ${id}, but this PostgresQueue has no unsettled job of that id. ` +
        `Call it where the job was dequeued, or pass { id, token }. Nothing was written.`,
    );
  }
}

/** The database rejected an outcome, as by a trigger or a check. The job is a dead letter now. */
export class OutcomeRejectedError extends HarkError {
  constructor(id: bigint, error: string) {
    super(
      "OUTCOME_REJECTED",
      { jobId: id },
      `Job ${id} became a dead letter, because ${error}. Correct what rejects it, then requeue the job.`,
    );
  }
}

/**
 * The processor returned `success: false`. The attempt failed, with the processor's errors as
 * message.
 */
export class JobFailedError extends HarkError {
  constructor(errors: readonly string[]) {
    super("JOB_FAILED", { errors }, errors.join("; ") || "the processor returned success: false and gave no errors");
    // Frames of Hark's own code in the dead letters would not help.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** No dead letter has this index or id. */
export class DeadLetterNotFoundError extends HarkError {
  constructor(wanted: { index: number } | { id: string }) {
    const what = "index" in wanted ? `no dead letter at index ${wanted.index}` : `no dead letter ${wanted.id}`;
    super(
      "DEAD_LETTER_NOT_FOUND",
      wanted,
      `There is ${what}. List the dead letters, and requeue by id. Nothing was changed.`,
    );
  }
}

/** A dead letter cannot be requeued: another unfinished job has its unique key. */
export class UniqueKeyTakenError extends HarkError {
  constructor(id: string) {
    super(
      "UNIQUE_KEY_TAKEN",
      { jobId: id },
      `Job ${id} stays a dead letter, because another unfinished job has its unique key. Requeue it after that job has finished.`,
    );
  }
}
