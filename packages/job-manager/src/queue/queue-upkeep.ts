import { type Database, type Logger, statements } from "@hark/core";
import { DueJobs, ForgottenClaims, Orphans } from "@hark/worker";
import type { HeldJobs } from "./held-jobs.ts";

/** Jobs moved in one statement. */
const batchSize = 1_000;

/** Least time between two promotions while there are ready jobs anyway, in ms. */
const promoteMs = 1_000;

/**
 * What a worker does beside running jobs, for callers who only drive a PostgresQueue: makes due jobs ready, takes jobs back from
 * dead processes and from claims whose answer was lost. It has no timer: dequeue() calls it. Folding statistics and dropping
 * old history are left to workers, since nothing waits for them.
 */
export class QueueUpkeep {
  readonly #db: Database;
  readonly #due: DueJobs;
  readonly #orphans: Orphans;
  readonly #forgotten: ForgottenClaims;
  readonly #leaseMs: number;
  #promoteAt = 0;
  #surveyAt = 0;

  constructor(parts: { db: Database; held: HeldJobs; leaseMs: number; logger: Logger }) {
    this.#db = parts.db;
    this.#due = new DueJobs(parts);
    this.#orphans = new Orphans(parts);
    const { db, held, logger } = parts;
    this.#forgotten = new ForgottenClaims({
      db,
      heldClaims: () => held.all(),
      isAwaited: (token) => held.awaited.has(token),
      logger,
    });
    this.#leaseMs = parts.leaseMs;
  }

  /** Does what is due of it: before a claim, so that a queue which is never empty starves neither due nor orphaned jobs. */
  async run(worker: string): Promise<void> {
    const now = performance.now();
    if (now >= this.#promoteAt) await this.promote();
    if (now < this.#surveyAt) return;
    this.#surveyAt = now + this.#leaseMs; // before it is done: concurrent calls need not do it too
    await this.#survey(worker);
  }

  /** Makes due jobs ready; answers how many, and in how many ms the next is due. */
  async promote(): Promise<{ promoted: number; nextDueInMs: number }> {
    const { promoted, nextDueInMs = Number.POSITIVE_INFINITY } = await this.#due.promote({
      limit: batchSize,
      afterMs: Number.NEGATIVE_INFINITY,
    });
    this.#promoteAt = performance.now() + promoteMs;
    return { promoted, nextDueInMs };
  }

  async #survey(worker: string): Promise<void> {
    const except = this.#orphans.refused;
    const { nextExpiryMs, hasOrphans, mine } = (await statements.surveyLeases(this.#db, { worker, except }))[0]!;
    const hasExpired = nextExpiryMs !== undefined && nextExpiryMs <= 0;
    if (hasExpired) await statements.certifyDeaths(this.#db, {});
    if (hasExpired || hasOrphans) while ((await this.#orphans.rescue()) > 0);
    await statements.unparkJobs(this.#db, { limit: batchSize });
    await this.#forgotten.release(mine);
  }
}
