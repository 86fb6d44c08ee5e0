import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";

/** Most marks in one statement. */
const batchSize = 1_000;

interface Waiting {
  readonly job: statements.Claim;
  readonly answer: (mayStart: boolean) => void;
}

/**
 * Marks jobs as about to start, where a crash of this process may bury them
 * (docs/decisions/0038). Jobs that come to their slots together share a statement.
 */
export class StartMarks {
  readonly #db: Database;
  readonly #logger: Logger;
  #waiting: Waiting[] = [];
  #isWriting = false;

  constructor({ db, logger }: { db: Database; logger: Logger }) {
    this.#db = db;
    this.#logger = logger;
  }

  /**
   * Returns false if the job must not start: its claim is gone, or the mark could not be written.
   */
  mark(job: statements.Claim): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ job, answer: resolve });
    if (!this.#isWriting) void this.#write();
    return promise;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    await new Promise<void>((resolve) => setImmediate(resolve)); // waits for jobs of the same turn
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchSize);
      const begun = await this.#begin(batch.map(({ job }) => job));
      for (const { job, answer } of batch) answer(begun.has(`${job.id} ${job.token}`));
    }
    this.#isWriting = false; // in the same turn as the last check
  }

  async #begin(jobs: readonly statements.Claim[]): Promise<ReadonlySet<string>> {
    try {
      const request = { ids: jobs.map(({ id }) => id), tokens: jobs.map(({ token }) => token) };
      return new Set((await statements.beginJobs(this.#db, request)).map(({ id, token }) => `${id} ${token}`));
    } catch (error) {
      this.#logger.warn({ error, jobs: jobs.length }, "jobs could not be marked as started, and go back");
      return new Set();
    }
  }
}
