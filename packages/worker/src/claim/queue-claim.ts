import { randomUUID } from "node:crypto";
import type { Database } from "@hark/core";
import { isRejection, statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Executor } from "../run/executor.ts";
import type { Slots } from "../run/slots.ts";
import { piggyback, type Piggyback } from "../settle/piggyback.ts";
import type { Settler } from "../settle/settler.ts";
import type { ClaimConfirmer } from "./claim-confirmer.ts";
import { behindLast, ClaimCursor } from "./claim-cursor.ts";
import { ClaimsByType } from "./claims-by-type.ts";
import { handOver } from "./hand-over.ts";
import { KeyedClaims } from "./keyed-claims.ts";
import type { PendingClaims } from "./pending-claims.ts";

/**
 * Most jobs in one claim. Measured in a drain, jobs/s: 71,000 with 250, 80,000 with 500, 86,000
 * with 1,000, 83,000 with 2,000.
 */
const batchSize = 1_000;

export interface Claimed {
  readonly found: number;
  /** No other job was there to be claimed. */
  readonly isAll: boolean;
  /**
   * Keys that are running while ready jobs of theirs stood in the way of this claim: it found less
   * than half of what it asked for.
   */
  readonly blockedKeys: readonly string[];
}

export interface QueueClaimParts {
  /** For claims that carry outcomes. */
  readonly db: Database;
  /** For claims alone, so that they wait for no settle. */
  readonly claimDb: Database;
  readonly slots: Slots;
  readonly executor: Pick<Executor, "submit" | "handBack">;
  readonly settler: Settler;
  readonly confirmer: Pick<ClaimConfirmer, "add">;
  readonly lease: Pick<LeaseKeeper, "identity">;
  readonly pending: PendingClaims;
  /** Job types that this worker runs. */
  readonly types: readonly string[];
}

/**
 * Claims ready jobs of one queue for its free slots and hands them to the executor. Two claims may
 * be on their way at once.
 */
export class QueueClaim {
  readonly queue: string;
  readonly #parts: QueueClaimParts;
  readonly #cursor = new ClaimCursor(behindLast);
  readonly #byType: ClaimsByType;
  #isDeep = false;
  /**
   * The last jobs found were plain. A claim of plain jobs alone is quicker, but a second one must
   * follow if others are there.
   */
  #isPlain = true;
  readonly #keyed = new KeyedClaims();
  /** Jobs whose keys run stood in the way of the last claim. */
  #isHindered = false;

  constructor(parts: QueueClaimParts) {
    this.queue = parts.slots.queue;
    this.#parts = parts;
    this.#byType = new ClaimsByType(parts.claimDb, { queue: this.queue, types: parts.types });
  }

  /** True if the last claim got as many jobs as it asked for. */
  get isDeep(): boolean {
    return this.#isDeep;
  }

  get hasLease(): boolean {
    return this.#parts.lease.identity !== undefined;
  }

  get isWanted(): boolean {
    return this.#parts.slots.demand > 0;
  }

  /** True if a second claim at the same time would only slow down the first. */
  get isBestAlone(): boolean {
    if (this.#byType.head.isCrowded) return this.#byType.isBestAlone;
    return this.#cursor.isScanSlow || this.#keyed.areExpected; // two claims at a time would meet at keys
  }

  /**
   * Claims once. Returns undefined if it could not: no job is wanted, there is no lease, or
   * `signal` is aborted.
   */
  async claim(signal: AbortSignal): Promise<Claimed | undefined> {
    const { slots, lease, pending, confirmer } = this.#parts;
    if (this.isWanted && this.hasLease && !signal.aborted) await this.#byType.look();
    const worker = lease.identity;
    const limit = Math.min(slots.demand, batchSize);
    if (limit <= 0 || worker === undefined || signal.aborted) return undefined;

    const isByType = this.#byType.head.isCrowded;
    const after = isByType ? undefined : this.#cursor.after;
    const token = randomUUID();
    pending.add(token);
    const release = slots.reserve(limit);
    try {
      const { jobs, blockedKeys, mayHideMore, isDeferred } = await (isByType
        ? this.#byType.claim({ worker, token, limit, mayDefer: this.#isPlain })
        : this.#ask({ worker, token, limit, after }));
      release();
      if (jobs.length > 0 || blockedKeys.length > 0)
        this.#isPlain = blockedKeys.length === 0 && jobs.every(statements.isPlain);
      this.#isDeep = jobs.length === limit;
      handOver({ jobs, mayStart: !signal.aborted && lease.identity === worker }, this.#parts.executor);
      if (isDeferred) confirmer.add(jobs);
      const isAll = jobs.length < limit && after === undefined && !mayHideMore;
      if (isByType) return { found: this.#byType.sum(jobs.length, isAll), isAll, blockedKeys };
      return { found: jobs.length, isAll, blockedKeys: this.#isHindered ? blockedKeys : [] };
    } catch (error) {
      if (!isRejection(error)) pending.unanswered.emit();
      throw error;
    } finally {
      release();
      pending.delete(token); // not before its jobs are in hand
    }
  }

  async #ask(
    claim: Pick<statements.ClaimRequest, "worker" | "token" | "limit" | "after">,
  ): Promise<statements.ClaimAnswer> {
    const request = { ...claim, queue: this.queue, types: this.#parts.types };
    const startedAt = performance.now();
    const answer = await this.#send(request).catch((error: unknown) => {
      if (!statements.isKeyContended(error)) throw error;
      this.#keyed.met();
      return this.#send({ ...request, isContended: true });
    });
    this.#keyed.answered(answer, startedAt);
    this.#cursor.move({ ...claim, jobs: answer.jobs, startedAt, endedAt: performance.now() });
    if (!claim.after) this.#byType.head.claimed({ tookMs: performance.now() - startedAt, found: answer.jobs.length });
    this.#isHindered = answer.blockedKeys.length > 0 && (answer.jobs.length < claim.limit / 2 || answer.mayHideMore);
    return answer;
  }

  async #send(request: statements.ClaimRequest): Promise<statements.ClaimAnswer> {
    const { claimDb, settler } = this.#parts;
    const isContended = request.isContended ?? this.#keyed.mayMeetOthers;
    // Where jobs are many, carrying outcomes saves a commit. Where they are few, the claim would
    // wait for that commit, and its jobs with it.
    const mayCarry = this.#isDeep && !this.#isHindered && !(this.#keyed.areExpected && isContended);
    const riders = mayCarry ? piggyback(settler) : undefined;
    if (riders) return this.#settleAndClaim(request, riders);
    return statements.claimJobs(claimDb, {
      ...request,
      mayDefer: this.#isPlain && !request.isContended, // by claimPlainJobs
      isContended,
      isHindered: this.#isHindered,
    });
  }

  async #settleAndClaim(request: statements.ClaimRequest, riders: Piggyback): Promise<statements.ClaimAnswer> {
    try {
      const answer = await statements.claimJobs(this.#parts.db, request, riders.completions);
      riders.written(answer.refused);
      return answer;
    } catch (error) {
      riders.failed(error);
      throw error;
    }
  }
}
