import { type Database, errorText, type Logger, statements } from "@hark/core";
import type { Executor } from "../run/executor.ts";
import type { Part } from "../runtime/part.ts";
import { sleep } from "../runtime/sleep.ts";

/**
 * From a claim to the question whether it stands, in ms. Most jobs have ended by then, and are not asked for; in what is left, a
 * crash of the server may undo a claim whose job already runs.
 */
const patienceMs = 2;

/**
 * Makes claims sure whose jobs began before the server's disk had them (docs/decisions/0024). If the server crashes first, the
 * claim was never there, and the job waits for whoever comes: it is told to stop here at once. So it is if there is no answer, since a
 * connection that breaks in that moment is most likely such a crash; a claim that was there after all is then handed back.
 */
export class ClaimConfirmer implements Part {
  readonly #db: Database;
  readonly #executor: Executor;
  readonly #identity: () => string | undefined;
  readonly #onGone: (id: bigint) => void;
  readonly #logger: Logger;
  #waiting: statements.Claim[] = [];
  #asking: Promise<void> | undefined;

  constructor(parts: {
    db: Database;
    executor: Executor;
    /** The worker's, as of now. */
    identity: () => string | undefined;
    /** A job that runs here stands nowhere any more: it was cancelled, most likely. */
    onGone: (id: bigint) => void;
    logger: Logger;
  }) {
    this.#db = parts.db;
    this.#executor = parts.executor;
    this.#identity = parts.identity;
    this.#onGone = parts.onGone;
    this.#logger = parts.logger;
  }

  start(): void {}

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
      const claims = this.#executor.unfinished(this.#waiting.splice(0));
      if (claims.length > 0) await this.#confirm(claims);
    } while (this.#waiting.length > 0);
    this.#asking = undefined; // in the same turn as the last look, or a claim in between would wait for the next
  }

  async #confirm(claims: readonly statements.Claim[]): Promise<void> {
    const worker = this.#identity();
    if (worker === undefined) return; // the lease is lost, and all were told
    const [ids, tokens] = [claims.map(({ id }) => id), claims.map(({ token }) => token)];
    let answers: statements.ConfirmedClaim[];
    try {
      answers = await statements.confirmClaims(this.#db, { ids, tokens, worker });
    } catch (error) {
      this.#lose(claims, errorText(error));
      return;
    }
    const stands = new Map(answers.map(({ id, token, isHeld }) => [`${id} ${token}`, isHeld]));
    const withAnswer = (answer: boolean | undefined) =>
      claims.filter(({ id, token }) => stands.get(`${id} ${token}`) === answer);
    this.#lose(withAnswer(false), "the database does not know it");
    for (const { id } of this.#executor.unfinished(withAnswer(undefined))) this.#onGone(id);
  }

  #lose(claims: readonly statements.Claim[], why: string): void {
    for (const jobId of this.#executor.abortLost(claims))
      this.#logger.warn({ jobId, why }, "a job that was just claimed is told to stop: its claim is in doubt");
  }
}
