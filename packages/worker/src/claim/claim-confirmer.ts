import type { Database, Logger } from "@hark/core";
import { errorText, statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Attempts } from "../run/attempts.ts";
import type { Cancellations } from "../run/cancellations.ts";
import type { Part } from "../runtime/part.ts";
import { sleep } from "../runtime/sleep.ts";

/**
 * Time from a claim to the query that confirms it, in ms. Most jobs have ended by then and are not
 * asked for; for the others, a crash of the server may still undo a claim whose job already runs.
 */
const patienceMs = 2;

interface ClaimConfirmerParts {
  readonly db: Database;
  readonly attempts: Pick<Attempts, "unfinished" | "abortLost">;
  readonly lease: Pick<LeaseKeeper, "identity">;
  readonly cancellations: Pick<Cancellations, "suspect">;
  readonly logger: Logger;
}

/**
 * Confirms claims whose jobs began before the server's disk had them (docs/decisions/0024). If the
 * server crashes first, the claim is undone and another worker may take the job, so the job is
 * aborted here at once. The job is also aborted if the query fails, because a connection that
 * breaks at that moment most likely means such a crash. If the claim did survive, it is handed
 * back.
 */
export class ClaimConfirmer implements Part {
  readonly #parts: ClaimConfirmerParts;
  #waiting: statements.Claim[] = [];
  #asking: Promise<void> | undefined;

  constructor(parts: ClaimConfirmerParts) {
    this.#parts = parts;
  }

  async stop(): Promise<void> {
    await this.#asking;
  }

  /** These claims are committed and answered, and perhaps not flushed. */
  add(claims: readonly statements.Claim[]): void {
    if (claims.length === 0) return;
    this.#waiting.push(...claims);
    this.#asking ??= this.#ask();
  }

  async #ask(): Promise<void> {
    do {
      await sleep(patienceMs);
      const claims = this.#parts.attempts.unfinished(this.#waiting.splice(0));
      if (claims.length > 0) await this.#confirm(claims);
    } while (this.#waiting.length > 0);
    this.#asking = undefined; // in the same turn as the last check, or a claim in between would wait for the next
  }

  async #confirm(claims: readonly statements.Claim[]): Promise<void> {
    const { db, attempts, lease, cancellations } = this.#parts;
    const worker = lease.identity;
    if (worker === undefined) return; // the lease is lost, and all jobs were aborted
    const [ids, tokens] = [claims.map(({ id }) => id), claims.map(({ token }) => token)];
    let answers: statements.ConfirmedClaim[];
    try {
      answers = await statements.confirmClaims(db, { ids, tokens, worker });
    } catch (error) {
      this.#lose(claims, errorText(error));
      return;
    }
    const stands = new Map(answers.map(({ id, token, isHeld }) => [`${id} ${token}`, isHeld]));
    const withAnswer = (answer: boolean | undefined) =>
      claims.filter(({ id, token }) => stands.get(`${id} ${token}`) === answer);
    this.#lose(withAnswer(false), "the database does not know it");
    // A job that is in neither table was cancelled, or deleted by hand.
    for (const { id } of attempts.unfinished(withAnswer(undefined))) cancellations.suspect(id);
  }

  #lose(claims: readonly statements.Claim[], why: string): void {
    const { attempts, logger } = this.#parts;
    for (const jobId of attempts.abortLost(claims, "claim in doubt"))
      logger.warn({ jobId, why }, "a job that was just claimed is aborted, because its claim is in doubt");
  }
}
