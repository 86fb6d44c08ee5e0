import { orLate } from "@hark/core/internal";
import { changeDeadlineMs } from "./deadline.ts";

/**
 * Lets callers that ask the same at the same time share one read of the database. A read starts
 * after everybody asked who gets its answer, so nobody sees less than was there when it asked; and
 * however many ask, one read runs and one waits.
 */
export class SharedRead<Answer> {
  readonly #read: () => Promise<Answer>;
  #running: Promise<unknown> | undefined;
  #next: Promise<Answer> | undefined;

  constructor(read: () => Promise<Answer>) {
    this.#read = read;
  }

  ask(): Promise<Answer> {
    if (this.#next) return this.#next;
    if (!this.#running) return this.#start();
    return (this.#next = this.#running.then(() => {
      this.#next = undefined;
      return this.#start();
    }));
  }

  #start(): Promise<Answer> {
    const answer = this.#read();
    // A read that hangs holds up others no longer than its callers wait.
    const over = orLate(answer, changeDeadlineMs).catch(() => {}); // its callers hear of it
    const running = over.finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return answer;
  }
}
