import { JobCancelledError, LeaseLostError, WorkerStoppingError } from "@hark/core";
import type { statements } from "@hark/core/internal";
import type { Attempt } from "./attempt.ts";

/**
 * The attempts of this process that wait for a slot, run, or have their outcome on the way. After a
 * lost lease the same job may come back before its former attempt has ended: two of one id.
 */
export class Attempts {
  readonly #attempts = new Set<Attempt>();

  get size(): number {
    return this.#attempts.size;
  }

  add(attempt: Attempt): void {
    this.#attempts.add(attempt);
  }

  delete(attempt: Attempt): void {
    this.#attempts.delete(attempt);
  }

  /** The claims of all attempts. */
  heldClaims(): statements.Claim[] {
    return [...this.#attempts].map(({ job }) => job);
  }

  /** The claims of one job: none, or one, or after a lost lease more. */
  claimsOf(id: bigint): statements.Claim[] {
    return [...this.#attempts].flatMap(({ job }) => (job.id === id ? [{ id, token: job.token }] : []));
  }

  /**
   * Those of these claims whose job waits for its slot or runs here; not if its own transaction has
   * completed it.
   */
  unfinished(claims: readonly statements.Claim[]): statements.Claim[] {
    return this.#unfinished(claims).map(({ job: { id, token } }) => ({ id, token }));
  }

  /**
   * Aborts the jobs of these claims: they outlived their lease, so that the claims are gone, or the
   * claims are in doubt. Returns the ids of the aborted jobs.
   */
  abortLost(claims: readonly statements.Claim[], why: "outlived" | "claim in doubt"): bigint[] {
    const attempts = this.#unfinished(claims);
    for (const attempt of attempts) attempt.abort(new LeaseLostError(attempt.job, why));
    return attempts.map(({ job }) => job.id);
  }

  /** Aborts a running job that was cancelled. A job whose own transaction completed it goes on. */
  abortCancelled({ id, token }: statements.Claim): void {
    for (const attempt of this.#attempts) {
      const { job, isCompletedInTransaction } = attempt;
      if (job.id === id && job.token === token && !isCompletedInTransaction) attempt.abort(new JobCancelledError(job));
    }
  }

  /** Aborts every job, because the worker stops or has lost its lease. */
  abortAll(why: "stopping" | "lease lost"): void {
    for (const attempt of this.#attempts) {
      attempt.abort(why === "stopping" ? new WorkerStoppingError(attempt.job) : new LeaseLostError(attempt.job));
    }
  }

  #unfinished(claims: readonly statements.Claim[]): Attempt[] {
    if (claims.length === 0 || this.#attempts.size === 0) return [];
    const wanted = new Set(claims.map(({ id, token }) => `${id} ${token}`));
    return [...this.#attempts].filter(
      ({ job: { id, token }, hasEnded, isCompletedInTransaction }) =>
        !hasEnded && !isCompletedInTransaction && wanted.has(`${id} ${token}`),
    );
  }
}
