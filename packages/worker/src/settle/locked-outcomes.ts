import type { Database } from "@hark/core";
import { statements } from "@hark/core/internal";
import { sleep } from "../runtime/sleep.ts";
import type { Unsettled } from "./unsettled.ts";

/** From one look at a locked row to the next, in ms. */
const restMs = 500;

/**
 * Outcomes of jobs whose rows another transaction holds locked: an operator's, or the
 * application's. Each rests until its row is free, and holds up no other (FM-77).
 */
export class LockedOutcomes {
  readonly #db: Database;
  readonly #comeBack: (entry: Unsettled) => void;
  readonly #giveUp: AbortSignal;
  readonly #resting = new Set<Unsettled>();

  /** `comeBack` takes an entry that has rested; `giveUp` ends all rests. */
  constructor(parts: { db: Database; comeBack: (entry: Unsettled) => void; giveUp: AbortSignal }) {
    this.#db = parts.db;
    this.#comeBack = parts.comeBack;
    this.#giveUp = parts.giveUp;
  }

  /** Sets those aside whose rows are locked now, and returns the others. */
  async setAside(entries: readonly Unsettled[]): Promise<readonly Unsettled[]> {
    const ids = entries.map(({ claim }) => claim.id);
    const locked = new Set((await statements.lockedClaims(this.#db, { ids })).map(({ id }) => id));
    for (const entry of entries) if (locked.has(entry.claim.id)) void this.#rest(entry);
    return entries.filter((entry) => !this.#resting.has(entry));
  }

  async #rest(entry: Unsettled): Promise<void> {
    if (this.#resting.has(entry)) return; // it is part of a batch that is being halved
    this.#resting.add(entry);
    entry.isLocked = entry.isLeftBehind = true; // or a claim that carried it would wait too
    await sleep(restMs, { signal: this.#giveUp });
    this.#resting.delete(entry);
    this.#comeBack(entry);
  }
}
