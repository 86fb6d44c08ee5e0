import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { bisect } from "../runtime/bisect.ts";
import { RefusedRows } from "../runtime/refused-rows.ts";

/**
 * Hands back claims that the database assigns to this process but that nothing here holds, because
 * the claim's answer was lost. A claim whose answer may still come is left alone, however long that
 * takes, or its jobs would run here and elsewhere. Any other claim must be missing in two surveys
 * in a row, since it may have been settled during the survey.
 */
export class ForgottenClaims {
  readonly #db: Database;
  readonly #heldClaims: () => readonly statements.Claim[];
  readonly #isAwaited: (token: string) => boolean;
  readonly #logger: Logger;
  readonly #refused: RefusedRows;
  #suspects = new Set<string>();

  constructor(parts: {
    db: Database;
    heldClaims: () => readonly statements.Claim[];
    /** Whether a claim under the token may still be answered. */
    isAwaited: (token: string) => boolean;
    logger: Logger;
  }) {
    this.#db = parts.db;
    this.#heldClaims = parts.heldClaims;
    this.#isAwaited = parts.isAwaited;
    this.#logger = parts.logger;
    this.#refused = new RefusedRows(parts.logger);
  }

  /** Call it with every survey's claims of this process. */
  async release(mine: statements.Survey["mine"]): Promise<void> {
    const held = new Set(this.#heldClaims().map(({ id, token }) => `${id} ${token}`));
    const unknown = mine.filter(({ id, token }) => !held.has(`${id} ${token}`) && !this.#isAwaited(token));
    const leftAlone = new Set(this.#refused.ids());
    const forgotten = unknown.filter(({ id, token }) => this.#suspects.has(`${id} ${token}`) && !leftAlone.has(id));
    this.#suspects = new Set(unknown.map(({ id, token }) => `${id} ${token}`));
    if (forgotten.length === 0) return;

    const again = forgotten.map(
      ({ id, token, attempt }) =>
        ({ id, token, ending: "interrupted", error: null, delayMs: 0, attempt: attempt - 1 }) as const,
    );
    let released = 0;
    await this.#db.onOneConnection((on) =>
      bisect(again, {
        move: async (jobs) => {
          released += (await statements.retryJobs(on, statements.retriedOf(jobs))).length;
        },
        alone: ({ id }, error) =>
          this.#refused.leaveAlone(id, error, "a job whose claim was lost cannot be handed back"),
      }),
    );
    if (released > 0) this.#logger.warn({ released }, "handed back jobs whose claim was never answered");
  }
}
