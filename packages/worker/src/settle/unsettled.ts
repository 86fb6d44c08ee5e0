import type { Outcome, Queryable } from "@hark/core";
import { statements } from "@hark/core/internal";

/**
 * What was written: a dead letter where the database rejected the outcome. "refused": the claim no
 * longer holds, so nothing was touched.
 */
export type Settlement = Outcome | "refused";

/** A claim whose job may hold up others of its key. */
export type KeyedClaim = Pick<statements.ClaimedJob, "id" | "token" | "handsOff">;

/** An outcome that is not written yet. */
export interface Unsettled {
  readonly claim: KeyedClaim;
  outcome: Outcome;
  readonly done: (settlement: Settlement) => void;
  /** An earlier try ended without an answer, so it may have been written then. */
  isDoubtful: boolean;
  /** True if a claim that carried it failed. Then a flush writes it. */
  isLeftBehind: boolean;
  /** Another transaction held its row locked at the last try. */
  isLocked: boolean;
  /** How often the database refused it by itself, and when first, in ms of performance.now(). */
  refusals: number;
  refusedAt: number | undefined;
}

/**
 * Returns whether an outcome must be written at once. The next job of its key is parked until then.
 * And failures are rare, and people may be waiting for them.
 */
export const isUrgent = ({ claim, outcome }: Unsettled): boolean => claim.handsOff || outcome.state !== "completed";

/** Successes, as completeJobs() takes them. */
export function completionsOf(entries: readonly Unsettled[]): statements.Completions {
  return statements.completionsOf(
    entries.map(({ claim: { id, token }, outcome }) => ({
      id,
      token,
      resultJson: outcome.state === "completed" ? outcome.resultJson : null,
    })),
  );
}

/**
 * Writes outcomes of one state, fenced by their tokens. Returns the ids of the jobs that it moved.
 */
export function writeOutcomes(db: Queryable, entries: readonly Unsettled[]): Promise<{ id: bigint }[]> {
  const rows = () => entries.map(({ claim: { id, token }, outcome }) => ({ id, token, ...outcome }));
  switch (entries[0]?.outcome.state) {
    case "completed":
      return statements.completeJobs(db, completionsOf(entries));
    case "scheduled":
      return statements.retryJobs(db, statements.retriedOf(rows() as never));
    default:
      return statements.buryJobs(db, statements.buriedOf(rows() as never));
  }
}
