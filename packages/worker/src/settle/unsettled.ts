import type { Outcome, Queryable } from "@hark/core";
import { escapeBeyond, statements } from "@hark/core/internal";

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

/**
 * The highest characters that are left as they are, one try after the other: of LATIN1, of ASCII.
 */
const encodings = [0xff, 0x7f];

/**
 * The same outcome with fewer characters, for a database whose encoding lacks some of them (FM-86).
 * Undefined if it has none to spare.
 */
export function escapedOutcome(outcome: Outcome): Outcome | undefined {
  for (const highest of encodings) {
    const escaped = { ...outcome };
    if ("error" in escaped && escaped.error !== null) escaped.error = escapeBeyond(highest, escaped.error);
    if ("resultJson" in escaped && escaped.resultJson !== null)
      escaped.resultJson = escapeBeyond(highest, escaped.resultJson, { isJson: true });
    if (JSON.stringify(escaped) !== JSON.stringify(outcome)) return escaped;
  }
  return undefined;
}

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
