import type { Database, Queryable, Logger } from "@hark/core";
import { errorText, isRejection, mayBeOneRow, statements } from "@hark/core/internal";
import { bisect } from "../runtime/bisect.ts";
import { RefusedRows } from "../runtime/refused-rows.ts";

/** Jobs taken back in one statement. */
const batchSize = 1_000;

/**
 * Takes the jobs of dead workers back, all in one statement if the database accepts them. If it
 * refuses them because of one job, that job is found and becomes a dead letter. If the database
 * refuses that too, the job is left alone for a while. It does not hold up the others (FM-16).
 */
export class Orphans {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #refused: RefusedRows;

  constructor({ db, logger }: { db: Database; logger: Logger }) {
    this.#db = db;
    this.#logger = logger;
    this.#refused = new RefusedRows(logger);
  }

  /** The jobs that are left alone for now. */
  get refused(): bigint[] {
    return this.#refused.ids();
  }

  /**
   * Takes some of them back, and returns how many. 0 if other transactions have locked them, or the
   * database refuses them.
   */
  async rescue(signal?: AbortSignal): Promise<number> {
    const except = this.refused;
    const together = except.length === 0 ? await this.#takeTogether() : "refused";
    const rescued = together === "refused" ? await this.#takeInHalves(except, signal) : together;
    if (rescued > 0) this.#logger.warn({ rescued }, "took jobs back from dead workers");
    return rescued;
  }

  async #takeTogether(): Promise<number | "refused"> {
    try {
      return (await statements.rescueJobs(this.#db, { limit: batchSize }))[0]!.rescued;
    } catch (error) {
      if (mayBeOneRow(error)) return "refused";
      throw error;
    }
  }

  #takeInHalves(except: readonly bigint[], signal: AbortSignal | undefined): Promise<number> {
    return this.#db.onOneConnection(async (on) => {
      let taken = 0;
      await bisect(await statements.listOrphans(on, { limit: batchSize, except }), {
        move: async (claims) => {
          const ids = claims.map(({ id }) => id);
          taken += (await statements.rescueJobs(on, { limit: ids.length, ids }))[0]!.rescued;
        },
        alone: async (claim, error) => {
          if (isRejection(error) && (await this.#bury(on, claim, error))) taken += 1;
          else this.#leaveAlone(claim, error);
        },
        signal,
      });
      return taken;
    });
  }

  /**
   * Fenced by the dead owner's token: a worker that took the job meanwhile keeps it. Returns false
   * if it is refused as a dead letter too.
   */
  async #bury(on: Queryable, claim: statements.Claim, rejection: unknown): Promise<boolean> {
    const error = `its worker died while it ran, and it could not be made ready again: ${errorText(rejection)}`;
    const dead = { ...claim, ending: "crashed", reason: "unrecoverable", error } as const;
    try {
      await statements.buryJobs(on, statements.buriedOf([dead]));
    } catch (refusal) {
      if (mayBeOneRow(refusal)) return false;
      throw refusal;
    }
    this.#logger.error(
      { jobId: claim.id, error: rejection },
      "a dead worker's job cannot be made ready again and becomes a dead letter",
    );
    return true;
  }

  #leaveAlone({ id }: statements.Claim, error: unknown): void {
    this.#refused.leaveAlone(
      id,
      error,
      "a dead worker's job can neither be made ready nor become a dead letter: correct what refuses it in the database",
    );
  }
}
