import { randomUUID } from "node:crypto";
import type { Database } from "@hark/core";
import { isRejection, statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import { TypedEvent } from "../runtime/event.ts";
import type { Part } from "../runtime/part.ts";
import { completionsOf, type Unsettled } from "../settle/unsettled.ts";
import type { PendingClaims } from "./pending-claims.ts";

/** Jobs that were claimed with the commit that settled those before them. */
export interface NextJobs {
  readonly jobs: readonly statements.ClaimedJob[];
  /**
   * False if the worker stops or has lost the lease of this claim: then the jobs are to be handed
   * back.
   */
  readonly mayStart: boolean;
}

/**
 * Claims the next job of a key in the commit that settles the one before it, so that a key that
 * many jobs wait for goes on without a claim of its own. The settler asks it while it is started.
 */
export class NextOfKey implements Part {
  /**
   * Emitted before the jobs that were settled are told, so that their worker is never idle in
   * between.
   */
  readonly claimed: TypedEvent<NextJobs> = new TypedEvent();
  readonly #lease: Pick<LeaseKeeper, "identity">;
  readonly #pending: PendingClaims;
  readonly #types: readonly string[];
  #isOn = false;

  constructor({
    lease,
    pending,
    types,
  }: {
    lease: Pick<LeaseKeeper, "identity">;
    pending: PendingClaims;
    /** Job types that this worker runs. */
    types: readonly string[];
  }) {
    this.#lease = lease;
    this.#pending = pending;
    this.#types = types;
  }

  start(): void {
    this.#isOn = true;
  }

  async stop(): Promise<void> {
    this.#isOn = false;
  }

  /** Whether a job's success is to be settled by {@link NextOfKey.complete}. */
  takes({ claim, outcome, isDoubtful }: Unsettled): boolean {
    const { identity } = this.#lease;
    return this.#isOn && identity !== undefined && claim.handsOff && outcome.state === "completed" && !isDoubtful;
  }

  /** Settles successes and claims the next of their keys. Returns the ids that it settled. */
  async complete(db: Database, entries: readonly Unsettled[]): Promise<{ id: bigint }[]> {
    const worker = this.#lease.identity;
    if (worker === undefined) return statements.completeJobs(db, completionsOf(entries));
    const token = randomUUID();
    this.#pending.add(token);
    try {
      const request = { ...completionsOf(entries), worker, token, types: this.#types };
      const { settled, claimed } = await statements.completeAndClaimNext(db, request);
      const mayStart = this.#isOn && this.#lease.identity === worker;
      if (claimed.length > 0) this.claimed.emit({ jobs: claimed, mayStart });
      return settled;
    } catch (error) {
      if (!isRejection(error)) this.#pending.unanswered.emit();
      throw error;
    } finally {
      this.#pending.delete(token); // not before its jobs are in hand
    }
  }
}
