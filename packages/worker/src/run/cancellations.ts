import type { Database, Logger, Notifications } from "@hark/core";
import { channels, statements, WakeUpLimiter } from "@hark/core/internal";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import type { Attempts } from "./attempts.ts";

/** Claims looked up in one statement. */
const batchSize = 500;

/** Longest pause while no job is named, in ms. */
const restMs = 60_000;

/**
 * Aborts running jobs that were cancelled, or whose claim another worker has taken over. A
 * notification names the job, but anyone may send one (FM-45), so only a claim that is no longer in
 * the table is aborted, and the ledger says whether its job was cancelled. If a notification is
 * lost, the rescuer finds the job: once a lease it compares what this process holds.
 */
export class Cancellations implements Part {
  readonly #db: Database;
  readonly #notifications: Notifications;
  readonly #attempts: Attempts;
  readonly #loop: Loop;
  readonly #limiter = new WakeUpLimiter();
  readonly #logger: Logger;
  /** Running jobs that notifications name as cancelled. Never more than run. */
  readonly #named = new Set<bigint>();
  #stopListening: (() => void) | undefined;

  constructor(parts: { db: Database; notifications: Notifications; attempts: Attempts; logger: Logger }) {
    this.#db = parts.db;
    this.#notifications = parts.notifications;
    this.#attempts = parts.attempts;
    this.#logger = parts.logger;
    this.#loop = new Loop({
      name: "cancellations",
      restMs,
      logger: parts.logger,
      step: (signal) => this.#step(signal),
    });
  }

  start(): void {
    this.#stopListening = this.#notifications.on(channels.jobCancelled, (payload) => {
      if (payload === undefined || !/^\d{1,19}$/.test(payload)) return;
      this.suspect(BigInt(payload));
    });
    this.#loop.start();
  }

  /**
   * Call it if the claim of a job that runs here may be gone. Looks, and aborts the job if so.
   */
  suspect(id: bigint): void {
    if (this.#attempts.claimsOf(id).length === 0) return;
    this.#named.add(id);
    this.#loop.wakeUp.ring();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    const ids = [...this.#named].slice(0, batchSize);
    const claims = ids.flatMap((id) => this.#attempts.claimsOf(id));
    if (claims.length > 0) {
      await this.#limiter.pause(signal);
      const gone = without(claims, await statements.heldClaims(this.#db, namesOf(claims)));
      if (gone.length > 0) await this.#abort(gone);
      else this.#limiter.countSpurious();
    }
    for (const id of ids) this.#named.delete(id); // not before the answer: a step that fails is repeated
    return this.#named.size > 0 ? "again" : "rest";
  }

  async #abort(gone: readonly statements.Claim[]): Promise<void> {
    const cancelled = await statements.cancelledClaims(this.#db, namesOf(gone));
    for (const claim of cancelled) this.#attempts.abortCancelled(claim);
    for (const jobId of this.#attempts.abortLost(without(gone, cancelled), "outlived"))
      this.#logger.warn({ jobId }, "a running job is aborted, because this process no longer holds its claim");
  }
}

const namesOf = (claims: readonly statements.Claim[]) => ({
  ids: claims.map(({ id }) => id),
  tokens: claims.map(({ token }) => token),
});

function without(claims: readonly statements.Claim[], others: readonly statements.Claim[]): statements.Claim[] {
  const left = new Set(others.map(({ id, token }) => `${id} ${token}`));
  return claims.filter(({ id, token }) => !left.has(`${id} ${token}`));
}
