import { randomUUID } from "node:crypto";
import type { Database } from "@hark/core";
import { isRejection, statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Executor } from "../run/executor.ts";
import type { Slots } from "../run/slots.ts";
import { piggyback, type Piggyback } from "../settle/piggyback.ts";
import type { Settler } from "../settle/settler.ts";
import type { ClaimConfirmer } from "./claim-confirmer.ts";
import { behindLast, behindLastOfType, ClaimCursor } from "./claim-cursor.ts";
import { HeadWatch } from "./head-watch.ts";
import { KeyContention } from "./key-contention.ts";
import type { PendingClaims } from "./pending-claims.ts";

/**
 * Most jobs in one claim. Measured in a drain, jobs/s: 71,000 with 250, 80,000 with 500, 86,000
 * with 1,000, 83,000 with 2,000.
 */
const batchSize = 1_000;

export interface Claimed {
  /** By this claim, and by those just before it that might not have found all. */
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
  readonly #head = new HeadWatch();
  /** While jobs of other types crowd the head. */
  readonly #cursorByType = new ClaimCursor(behindLastOfType);
  #foundByType = 0;
  #isDeep = false;
  /**
   * The last jobs found were plain. A claim of plain jobs alone is quicker, but a second one must
   * follow if others are there.
   */
  #isPlain = true;
  readonly #contention = new KeyContention();
  /** Jobs whose keys run stood in the way of the last claim. */
  #isHindered = false;

  constructor(parts: QueueClaimParts) {
    this.queue = parts.slots.queue;
    this.#parts = parts;
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
    if (this.#head.isCrowded) return this.#cursorByType.isScanSlow;
    return this.#cursor.isScanSlow || (!this.#isPlain && this.#contention.isBestAlone);
  }

  /**
   * Claims once. Returns undefined if it could not: no job is wanted, there is no lease, or
   * `signal` is aborted.
   */
  async claim(signal: AbortSignal): Promise<Claimed | undefined> {
    const { slots, lease, pending, confirmer } = this.#parts;
    if (this.isWanted && !signal.aborted) await this.#lookAtHead();
    const worker = lease.identity;
    const limit = Math.min(slots.demand, batchSize);
    if (limit <= 0 || worker === undefined || signal.aborted) return undefined;

    const isByType = this.#head.isCrowded;
    const { after } = isByType ? this.#cursorByType : this.#cursor;
    const token = randomUUID();
    pending.add(token);
    const release = slots.reserve(limit);
    try {
      const { jobs, blockedKeys, mayHideMore, isDeferred } = await (isByType
        ? this.#askByType({ worker, token, limit })
        : this.#ask({ worker, token, limit, after: this.#cursor.after }));
      release();
      this.#isDeep = jobs.length === limit;
      this.#handOver(jobs, worker, signal);
      if (isDeferred) confirmer.add(jobs);
      const isAll = jobs.length < limit && after === undefined && !mayHideMore;
      if (isByType) return { found: this.#sumByType(jobs.length, isAll), isAll, blockedKeys };
      return { found: jobs.length, isAll, blockedKeys: this.#isHindered ? blockedKeys : [] };
    } catch (error) {
      if (!isRejection(error)) pending.unanswered.emit();
      throw error;
    } finally {
      release();
      pending.delete(token); // not before its jobs are in hand
    }
  }

  #handOver(jobs: readonly statements.ClaimedJob[], worker: string, signal: AbortSignal): void {
    const { executor, lease } = this.#parts;
    for (const job of jobs) {
      // The loop was stopped, its watchdog gave up this step, or the lease of this claim is lost.
      if (signal.aborted || lease.identity !== worker) executor.handBack(job);
      else executor.submit(job);
    }
  }

  async #ask(
    claim: Pick<statements.ClaimRequest, "worker" | "token" | "limit" | "after">,
  ): Promise<statements.ClaimAnswer> {
    const request = { ...claim, queue: this.queue, types: this.#parts.types };
    const startedAt = performance.now();
    const answer = await this.#send(request).catch((error: unknown) => {
      if (!statements.isKeyContended(error)) throw error;
      this.#contention.met();
      return this.#send({ ...request, isContended: true });
    });
    const { jobs, blockedKeys } = answer;
    const endedAt = performance.now();
    this.#cursor.move({ ...claim, jobs, startedAt, endedAt });
    if (claim.after === undefined) this.#head.claimed({ tookMs: endedAt - startedAt, found: jobs.length });
    this.#isHindered = blockedKeys.length > 0 && (jobs.length < claim.limit / 2 || answer.mayHideMore);
    this.#notePlain(answer);
    return answer;
  }

  #notePlain({ jobs, blockedKeys }: statements.ClaimAnswer): void {
    if (jobs.length > 0 || blockedKeys.length > 0)
      this.#isPlain = blockedKeys.length === 0 && jobs.every(statements.isPlain);
  }

  /** A claim of each type by itself. It carries no outcomes: such claims are few. */
  async #askByType(
    claim: Pick<statements.ClaimRequest, "worker" | "token" | "limit">,
  ): Promise<statements.ClaimAnswer> {
    const { claimDb, types } = this.#parts;
    const { after } = this.#cursorByType;
    const startedAt = performance.now();
    const request = { ...claim, queue: this.queue, types, after, mayDefer: this.#isPlain };
    const answer = await statements.claimJobsByType(claimDb, request);
    this.#cursorByType.move({ ...claim, after, jobs: answer.jobs, startedAt, endedAt: performance.now() });
    this.#notePlain(answer);
    return answer;
  }

  /**
   * A claim by types that found some jobs may have left others, and another follows. The one that
   * has seen all tells what they have found together, or their wake-up would seem spurious.
   */
  #sumByType(found: number, isAll: boolean): number {
    this.#foundByType += found;
    if (!isAll) return found;
    const sum = this.#foundByType;
    this.#foundByType = 0;
    return sum;
  }

  /** Looks whether jobs of other types crowd the head of the queue, if it is time. */
  async #lookAtHead(): Promise<void> {
    if (!this.#head.isDue(performance.now())) return;
    const { claimDb, types } = this.#parts;
    const [head] = await statements.surveyHead(claimDb, { queue: this.queue, types });
    this.#head.looked(head!, performance.now());
  }

  async #send(request: statements.ClaimRequest): Promise<statements.ClaimAnswer> {
    const { claimDb, settler } = this.#parts;
    const isContended = request.isContended ?? (!this.#isPlain && this.#contention.isWithOthers);
    // Where jobs are many, carrying outcomes saves a commit. Where they are few, the claim would
    // wait for that commit, and its jobs with it.
    const riders = this.#isDeep && !isContended && !this.#isHindered ? piggyback(settler) : undefined;
    if (riders) return this.#settleAndClaim(request, riders);
    return statements.claimJobs(claimDb, {
      ...request,
      mayDefer: this.#isPlain && !isContended,
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
