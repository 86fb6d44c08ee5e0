import { type Database, type Logger, statements } from "@hark/core";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";

/**
 * Jobs between two vacuums. Every job leaves a dead row in each table that it passed, some 300 B
 * with their index entries; after so many jobs, 80 MB, all of it is still in shared memory
 * (docs/decisions/0023).
 */
const everyJobs = 250_000;

/**
 * After a vacuum, its time is waited out so many times: what it clears gets more expensive with a
 * deep queue, and under an old snapshot it clears nothing.
 */
const restsPerVacuum = 20;

/** Nothing to do unless it is rung, in ms. */
const idleMs = 3_600_000;

/**
 * Vacuums the tables that jobs pass through each time this worker has moved many of them.
 * Autovacuum looks once a minute, which is millions of dead rows too late for a busy queue; it
 * stays for all others, and where the worker's role may not vacuum.
 */
export class Vacuum implements Part {
  readonly #db: Database;
  readonly #loop: Loop;
  #jobs = 0;
  #restsUntilMs = 0;

  constructor({ db, logger }: { db: Database; logger: Logger }) {
    this.#db = db;
    this.#loop = new Loop({ name: "vacuum", restMs: idleMs, logger, step: () => this.#step() });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** So many jobs moved on. */
  count(jobs: number): void {
    const wasDue = this.#isDue;
    this.#jobs += jobs;
    if (this.#isDue && !wasDue) this.#loop.wakeUp.ring();
  }

  get #isDue(): boolean {
    return this.#jobs >= everyJobs;
  }

  async #step(): Promise<Next> {
    if (!this.#isDue) return "rest";
    const startedAt = performance.now();
    if (startedAt < this.#restsUntilMs) return { restMs: this.#restsUntilMs - startedAt };
    this.#jobs = 0; // those that move meanwhile count for the next
    try {
      await statements.vacuumPassedTables(this.#db);
    } finally {
      const endedAt = performance.now();
      this.#restsUntilMs = endedAt + restsPerVacuum * (endedAt - startedAt);
    }
    return "again"; // many may have moved meanwhile
  }
}
