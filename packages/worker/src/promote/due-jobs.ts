import type { Database, Logger } from "@hark/core";
import { mayBeOneRow, statements } from "@hark/core/internal";
import { bisect } from "../runtime/bisect.ts";
import { RefusedRows } from "../runtime/refused-rows.ts";

type Look = Pick<statements.PromotionRequest, "limit" | "afterMs">;

/**
 * Makes due jobs ready, all in one statement while the database takes them. If the database refuses
 * them because of one job, that job is found and stays scheduled for a while. It does not hold up
 * the others (FM-16).
 */
export class DueJobs {
  readonly #db: Database;
  readonly #refused: RefusedRows;

  constructor({ db, logger }: { db: Database; logger: Logger }) {
    this.#db = db;
    this.#refused = new RefusedRows(logger);
  }

  /**
   * Promotes up to `limit` of the jobs that are due from a moment on. Returns what is left, as
   * promoteJobs() does.
   */
  async promote(request: Look, signal?: AbortSignal): Promise<statements.Promotion> {
    const promote = async () =>
      (await statements.promoteJobs(this.#db, { ...request, except: this.#refused.ids() }))[0]!;
    try {
      return await promote();
    } catch (error) {
      if (!mayBeOneRow(error)) throw error;
    }
    await this.#promoteInHalves(request, signal);
    return promote();
  }

  #promoteInHalves(request: Look, signal: AbortSignal | undefined): Promise<void> {
    return this.#db.onOneConnection(async (on) =>
      bisect(await statements.listDue(on, { ...request, except: this.#refused.ids() }), {
        move: async (jobs) => {
          const ids = jobs.map(({ id }) => id);
          await statements.promoteJobs(on, { ...request, ids });
        },
        alone: ({ id }, error) =>
          this.#refused.leaveAlone(id, error, "a due job cannot be made ready and stays scheduled"),
        signal,
      }),
    );
  }
}
