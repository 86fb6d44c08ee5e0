import { isRejection, type statements } from "@hark/core/internal";
import type { Settler } from "./settler.ts";
import { completionsOf } from "./unsettled.ts";

/**
 * Successes that ride on the commit of a claim. Call one of the two functions once the claim is
 * answered.
 */
export interface Piggyback {
  readonly completions: statements.Completions;
  /** The claim committed, and moved all but these ids. */
  written(refused: ReadonlySet<bigint>): void;
  /** The claim failed. The next flush writes them. */
  failed(error: unknown): void;
}

/**
 * Takes the waiting successes out of the settler's next flush, so that a claim settles them in its
 * own commit. Returns undefined if there are none.
 */
export function piggyback(settler: Settler): Piggyback | undefined {
  const entries = settler.take(({ outcome, isLeftBehind }) => outcome.state === "completed" && !isLeftBehind);
  if (entries.length === 0) return undefined;
  const release = settler.holdFlush();
  return {
    completions: completionsOf(entries),
    written(refused) {
      release();
      settler.tell(entries, refused);
    },
    failed(error) {
      release();
      for (const entry of entries) {
        entry.isLeftBehind = true;
        entry.isDoubtful = !isRejection(error);
      }
      settler.putBack(entries);
    },
  };
}
