import type { Database } from "@hark/core";
import { statements } from "@hark/core/internal";
import { TypedEvent } from "../runtime/event.ts";

interface Question {
  readonly queue: string;
  readonly resolve: (isAnyReady: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Asks whether queues have ready jobs, locked ones too, for all queues of a worker in one
 * statement. A question that comes while the statement is on its way is asked in the next, so that
 * a thousand queues that settle down at once send two statements.
 */
export class ReadyJobs {
  /** A statement failed, and with it its questions. */
  readonly failed: TypedEvent = new TypedEvent();
  readonly #db: Database;
  readonly #types: readonly string[];
  #questions: Question[] = [];
  #isAsking = false;

  constructor({ db, types }: { db: Database; types: readonly string[] }) {
    this.#db = db;
    this.#types = types;
  }

  /** Sees whatever was committed before the call. */
  areIn(queue: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#questions.push({ queue, resolve, reject });
      if (!this.#isAsking) void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    do {
      await Promise.resolve(); // for the other questions of this turn
      const questions = this.#questions.splice(0);
      const queues = [...new Set(questions.map(({ queue }) => queue))];
      try {
        const ready = new Set(await statements.queuesWithReadyJobs(this.#db, { queues, types: this.#types }));
        for (const { queue, resolve } of questions) resolve(ready.has(queue));
      } catch (error) {
        for (const { reject } of questions) reject(error);
        this.failed.emit();
      }
    } while (this.#questions.length > 0);
    this.#isAsking = false; // in the same turn as the last check, or a question in between would be left waiting
  }
}
