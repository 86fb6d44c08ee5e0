import { randomUUID } from "node:crypto";
import { backoffMs, type Database, FalseAlarms, isRejection, type Logger, statements } from "@hark/core";
import type { ClaimConfirmer } from "./claim-confirmer.ts";
import type { Executor } from "../run/executor.ts";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import type { Companions, Settler } from "../settle/settler.ts";
import type { IdlePolicy } from "../wake/idle-policy.ts";

/** Most jobs in one claim. Measured in a drain, jobs/s: 71,000 with 250, 80,000 with 500, 86,000 with 1,000, 83,000 with 2,000. */
const batchSize = 1_000;

/**
 * A second claim is sent beside one that is under way, if that many jobs are wanted: about the work that a claim costs by itself. With
 * one at a time the server waited for the worker to read the answer, and the worker for the server: of two cores a third was idle
 * in a drain, and two at a time did 53,000 jobs/s instead of 40,000 (2 x AMD EPYC). A worker of one slot asks one at a time, so that
 * it starts its jobs in order.
 */
const besideFrom = 100;

/**
 * From a look at the whole queue that took this long, in ms, on there is one claim at a time: it steps over rows that cannot be
 * cleared away, as under an old snapshot, and a second would step over them once more.
 */
const aloneFromMs = 100;

/**
 * Before looking again when a key is about to come free, in ms: about a commit at first, then longer, since the transaction that
 * completes its job may be one of the application's.
 */
const aboutToComeFree = { baseMs: 5, factor: 2, capMs: 250, jitter: 0.1 };

/**
 * A claim of the whole queue that took this long, in ms, had to step over rows that are dead but cannot be vacuumed, as under an
 * old snapshot. The next claims then start behind the last one.
 */
const slowClaimMs = 5;

/**
 * How often to look at the whole queue meanwhile, for jobs with older ids that became ready again, such as retries. A look gets
 * slower with the dead rows: it takes 0.01 of the time, but no rarer than every 2 s, up to 0.1 of it. Such a job starts that much
 * later while more than a batch of others is ready all the time. Measured, last fifth : first fifth of 12 s under an old snapshot
 * (pnpm bench pinned:snapshot, looks of 30 to 70 ms): 0.93 with 0.1 throughout, 0.97 with 2 s, 0.99 with 5 s.
 */
const wholeQueue = { share: 0.01, everyMs: 2_000, mostShare: 0.1 };

/**
 * Claims ready jobs of one queue for its free slots, and settles along what has succeeded while the queue is deep. Notifications,
 * reconnects and, unless it sleeps, hungry slots ring its wake-up; without them it looks every poll interval.
 */
export class Claimer implements Part {
  readonly queue: string;
  readonly loop: Loop;
  /** Claims beside the first loop's while the queue is deep, and does nothing else. */
  readonly #beside: Loop;
  /** The last claim got all it asked for. */
  #isDeep = false;
  /** For claims that settle along. */
  readonly #db: Database;
  /** For claims alone, so that they wait for no settle. */
  readonly #claimDb: Database;
  readonly #executor: Executor;
  readonly #settler: Settler;
  readonly #confirmer: ClaimConfirmer;
  readonly #lease: LeaseKeeper;
  readonly #types: readonly string[];
  readonly #sleeper: IdlePolicy;
  readonly #onUnanswered: () => void;
  readonly #alarms = new FalseAlarms();
  /** Tokens of claims that are still to be answered. */
  readonly #awaited = new Set<string>();
  /** The next look is one that a notification asked for. */
  #isTold = false;
  /** Claims in a row that found a key about to come free. */
  #looksForKeys = 0;
  /** The last jobs found were plain: a claim for such alone is the quicker, but must be followed by another if there are others. */
  #isPlain = true;
  /** Where the last claim ended, while claims of the whole queue are slow. */
  #mark: statements.ClaimRequest["after"];
  /** The last look at the whole queue took so long that a second claim would only be in its way. */
  #isAlone = false;
  #wholeQueueDueAt = 0;

  constructor(parts: {
    queue: string;
    db: Database;
    claimDb: Database;
    executor: Executor;
    settler: Settler;
    confirmer: ClaimConfirmer;
    lease: LeaseKeeper;
    types: readonly string[];
    sleeper: IdlePolicy;
    /** A claim failed, and may be committed all the same: its jobs are nowhere in hand. */
    onUnanswered: () => void;
    pollMs: number;
    logger: Logger;
  }) {
    this.queue = parts.queue;
    this.#db = parts.db;
    this.#claimDb = parts.claimDb;
    this.#executor = parts.executor;
    this.#settler = parts.settler;
    this.#confirmer = parts.confirmer;
    this.#lease = parts.lease;
    this.#types = parts.types;
    this.#sleeper = parts.sleeper;
    this.#onUnanswered = parts.onUnanswered;
    this.loop = new Loop({
      name: `claim ${parts.queue}`,
      restMs: parts.pollMs,
      logger: parts.logger,
      step: (signal) => this.#step(signal),
    });
    this.#beside = new Loop({
      name: `claim ${parts.queue} beside`,
      restMs: parts.pollMs,
      logger: parts.logger,
      step: (signal) => this.#stepBeside(signal),
    });
    parts.executor.onSlotFree(parts.queue, () => {
      if (!this.#sleeper.isAsleep) this.loop.wakeUp.ring();
      if (this.#isDeep) this.#beside.wakeUp.ring();
    });
  }

  start(): void {
    this.loop.start();
    if (!this.#executor.isSerial(this.queue)) this.#beside.start();
  }

  /** Stops, and lets producers know that it listens no more. */
  async stop(): Promise<void> {
    await Promise.all([this.loop.stop(), this.#beside.stop()]);
    this.#sleeper.stayAwake();
  }

  /** There may be jobs: one was announced, or something may have been missed. While it sleeps, others go first for `delayMs`. */
  wake(delayMs = 0): void {
    this.#isTold = true;
    this.#sleeper.wake(delayMs);
    this.loop.wakeUp.ring();
  }

  /** A claim under this token may still be answered, and its jobs begin. */
  isAwaited(token: string): boolean {
    return this.#awaited.has(token);
  }

  /** Whatever was amiss is over, and something may have been missed: looks at once, also if the last look failed. */
  resume(): void {
    this.wake();
    this.loop.retry();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    const { rung } = this.loop.wakeUp;
    const isTold = this.#isTold;
    this.#isTold = false; // before the pause: what is heard during it asks for another look, and that one has to pause too
    if (isTold) await this.#alarms.pause(signal);
    const sleepOn = await this.#sleeper.sleepOn({ rung, signal });
    if (isTold && sleepOn === "rest") this.#alarms.count();
    if (sleepOn) return sleepOn;
    const look = await this.#look(signal);
    if (look === "nothing wanted") {
      this.#sleeper.stayAwake();
      return "rest"; // a hungry slot or a new lease rings
    }
    if (isTold && look.found === 0) this.#alarms.count();
    if (!look.isAll) return "again";
    const isParked = await statements.parkBlocked(this.#db, { queue: this.queue, keys: look.blockedKeys });
    if (!isParked) return { restMs: backoffMs(aboutToComeFree, (this.#looksForKeys += 1)) };
    this.#looksForKeys = 0;
    if (look.blockedKeys.length > 0) return "again"; // what was parked may have stood before others
    return this.#sleeper.rest(look.found, { rung, signal });
  }

  /** What it finds wrong (a sleeping database, keys in the way) the first loop finds too. */
  async #stepBeside(signal: AbortSignal): Promise<Next> {
    if (!this.#isDeep || this.#isAlone || this.#executor.wanted(this.queue) < besideFrom) return "rest"; // a hungry slot rings
    try {
      const look = await this.#look(signal);
      return look !== "nothing wanted" && this.#isDeep ? "again" : "rest";
    } finally {
      this.loop.wakeUp.ring(); // it may rest for what was expected here and did not come: nothing else would tell it
    }
  }

  /** Claims once; `isAll` if no other job was there to be claimed. */
  async #look(
    signal: AbortSignal,
  ): Promise<"nothing wanted" | { found: number; isAll: boolean; blockedKeys: string[] }> {
    const worker = this.#lease.identity;
    const limit = Math.min(this.#executor.wanted(this.queue), batchSize);
    if (limit <= 0 || worker === undefined || signal.aborted) return "nothing wanted";

    const after = this.#mark;
    const token = randomUUID();
    this.#awaited.add(token);
    const answered = this.#executor.expect(this.queue, limit);
    try {
      const { jobs, blockedKeys, isDeferred } = await this.#claim({ worker, token, limit, after });
      answered();
      this.#isDeep = jobs.length === limit;
      for (const job of jobs) {
        // Stopped meanwhile, or given up on by the watchdog; or the lease it was claimed under is lost, and its news have gone out.
        if (signal.aborted || this.#lease.identity !== worker) this.#executor.handBack(job);
        else this.#executor.submit(job);
      }
      if (isDeferred) this.#confirmer.add(jobs);
      return { found: jobs.length, isAll: jobs.length < limit && after === undefined, blockedKeys };
    } catch (error) {
      if (!isRejection(error)) this.#onUnanswered();
      throw error;
    } finally {
      answered();
      this.#awaited.delete(token); // not before its jobs are in hand
    }
  }

  async #claim(
    claim: Pick<statements.ClaimRequest, "worker" | "token" | "limit" | "after">,
  ): Promise<statements.ClaimAnswer> {
    const { limit, after } = claim;
    const request = { ...claim, queue: this.queue, types: this.#types };
    // Where jobs are many, to settle along saves a commit. Where they are few, the claim would wait for that commit, and its jobs with it.
    const companions = this.#isDeep ? this.#settler.takeAlong() : undefined;
    const askedAt = performance.now();
    const answer = companions
      ? await this.#settleAndClaim(request, companions)
      : await statements.claimJobs(this.#claimDb, { ...request, mayDefer: this.#isPlain });
    const tookMs = performance.now() - askedAt;

    const { jobs, blockedKeys } = answer;
    if (jobs.length > 0 || blockedKeys.length > 0)
      this.#isPlain = blockedKeys.length === 0 && jobs.every(statements.isPlain);

    const last = jobs.at(-1);
    if (!last || jobs.length < limit) this.#mark = undefined;
    else if (after === undefined) {
      this.#isAlone = tookMs >= aloneFromMs;
      this.#mark = tookMs >= slowClaimMs ? last : undefined;
      this.#wholeQueueDueAt = askedAt + wholeQueueEveryMs(tookMs);
    } else this.#mark = performance.now() < this.#wholeQueueDueAt ? last : undefined;
    return answer;
  }

  async #settleAndClaim(request: statements.ClaimRequest, companions: Companions): Promise<statements.ClaimAnswer> {
    try {
      const answer = await statements.claimJobs(this.#db, request, companions.completions);
      companions.written(answer.refused);
      return answer;
    } catch (error) {
      companions.failed(error);
      throw error;
    }
  }
}

/** From the start of a claim of the whole queue that took `tookMs` to the start of the next, in ms. */
export function wholeQueueEveryMs(tookMs: number): number {
  return Math.min(tookMs / wholeQueue.share, Math.max(wholeQueue.everyMs, tookMs / wholeQueue.mostShare));
}
