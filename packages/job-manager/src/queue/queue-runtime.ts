import { setTimeout as sleep } from "node:timers/promises";
import {
  type Database,
  DatabaseUnreachableError,
  type Logger,
  type Login,
  type Outcome,
  type PayloadCipher,
} from "@hark/core";
import { describeUrl, type statements, withDeadline } from "@hark/core/internal";
import {
  type AttemptEnd,
  buildWorker,
  DueJobs,
  parseOptions,
  realPorts,
  startStages,
  stopStages,
  type WorkerParts,
} from "@hark/worker/internal";
import type { UrlJob } from "../define-url-job.ts";
import type { DequeuedJob } from "./dequeued-job.ts";
import { Handover, type OpenSlot } from "./handover.ts";

/** How long a first look may take, in ms. After a lost lease, the next one comes within some ms. */
const lookDeadlineMs = 5_000;

/** Due jobs made ready in one statement. */
const promoteBatch = 1_000;

/**
 * Tries to promote while another process is promoting the due jobs, and the pause between two
 * tries, in ms.
 */
const promoteTries = 20;
const promoteRestMs = 5;

export interface QueueRuntimeOptions extends Login {
  listenUrl: string;
  leaseMs: number;
  pollMs: number;
  keepDays: number;
  name: string;
  cipher: PayloadCipher | undefined;
  db: Database;
  queue: string;
  jobs: readonly UrlJob[];
  logger: Logger;
}

/**
 * A worker whose jobs callers run. It has one slot for each caller that waits for a job or has one.
 * It does not connect before start().
 */
export class QueueRuntime {
  readonly #options: QueueRuntimeOptions;
  readonly #handover = new Handover();
  readonly #parts: WorkerParts;
  readonly #claimer: NonNullable<ReturnType<WorkerParts["claimers"]["get"]>>;
  readonly #due: DueJobs;
  #starting: Promise<unknown> | undefined;
  #isStopping = false;

  constructor(options: QueueRuntimeOptions) {
    const { db, queue, jobs, cipher, leaseMs, pollMs, ...others } = options;
    const settings = parseOptions({
      ...others,
      ...(cipher && { cipher }),
      lease: leaseMs,
      pollInterval: pollMs,
      handlers: jobs.map((job) => ({ job, run: this.#handover.run })),
      queues: { [queue]: 1 },
      drainTimeout: 1_000, // release() has ended all attempts: only their outcomes are to be written
    });
    this.#options = options;
    this.#parts = buildWorker({ ...settings, isPrefetching: false, isQuarantining: false }, realPorts);
    this.#claimer = this.#parts.claimers.get(queue)!;
    this.#due = new DueJobs({ db, logger: options.logger });
    this.#handover.connect(this.#parts.slots.get(queue)!, this.#parts.events, (wasInHand) => {
      if (!wasInHand) this.#claimer.look(); // the job never reached a caller, so a caller still waits
    });
  }

  /** The listener, for callers that wait for a lock. It needs no lease. */
  get listener(): WorkerParts["listener"] {
    return this.#parts.listener;
  }

  /**
   * Takes a lease and starts the worker's parts. If it throws SchemaVersionError or
   * DatabaseUnreachableError, the runtime is stopped.
   */
  async start(): Promise<void> {
    await (this.#starting ??= startStages(this.#parts.stages, () => this.#isStopping, this.#stopOptions));
  }

  get #stopOptions() {
    return { withinMs: this.#parts.stopMs, logger: this.#options.logger };
  }

  /** Hands back unsettled jobs without counting the attempt, and closes all connections. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.allSettled([this.#starting]);
    this.#handover.release();
    await stopStages(this.#parts.stages, this.#stopOptions);
  }

  /**
   * Returns the most urgent ready job, or null if there is none within `waitMs` or `closing` is
   * aborted. Looks at least once. If the last look failed, throws its error.
   */
  async next(waitMs: number, closing: AbortSignal): Promise<DequeuedJob | null> {
    const endsAt = performance.now() + waitMs;
    const slot = this.#handover.open();
    let failure: unknown;
    const stopNoting = this.#claimer.failed.on((error) => (failure = error));
    try {
      if ((await this.#look(slot, closing)) === "nothing") {
        await this.#promote();
        await this.#look(slot, closing);
      }
      const leftMs = endsAt - performance.now();
      // The claimer keeps looking: notifications, the promoter and the poll wake it.
      if (leftMs > 0) await withDeadline(slot.job, leftMs, closing);
      if (this.#claimer.failures === 0) failure = undefined;
    } catch (error) {
      failure = error;
    } finally {
      stopNoting();
    }
    if (!slot.close()) return slot.job;
    if (failure !== undefined && !closing.aborted) throw failure as Error;
    return null;
  }

  /** Returns the latest claim of a job that a caller got here. */
  claimOf(jobId: bigint): statements.Claim | undefined {
    return this.#handover.claimOf(jobId);
  }

  /**
   * Ends a job that a caller got here. Returns undefined if no caller here has the claim.
   */
  end(claim: statements.Claim, verdict: { result: unknown } | AttemptEnd): Promise<Outcome | "refused"> | undefined {
    return this.#handover.end(claim, verdict);
  }

  /** Writes the outcome of a claim that no caller here has, as after a restart of the caller. */
  settle(claim: statements.Claim, outcome: Outcome): Promise<Outcome | "refused"> {
    return new Promise((resolve) => {
      // Written at once: jobs of the same key may be waiting.
      this.#parts.settler.settle({ ...claim, handsOff: true }, outcome, resolve);
    });
  }

  /**
   * Makes the claimer look once. Returns "nothing" if the look was complete and found no job for
   * this caller.
   */
  async #look(slot: OpenSlot, closing: AbortSignal): Promise<"nothing" | "over"> {
    const { attempts, lease, claiming } = this.#parts;
    const askedAt = performance.now();
    const looked = Promise.withResolvers<"nothing">();
    const subscriptions = [
      this.#claimer.failed.on((error) => looked.reject(error)),
      this.#claimer.foundNothing.on((beganAt) => {
        // A job whose payload is being decrypted may be for this caller.
        const isAnyComing = attempts.size > this.#handover.inHand;
        if (beganAt >= askedAt && !isAnyComing && lease.identity !== undefined) looked.resolve("nothing");
      }),
    ];
    try {
      if (claiming.refusal) throw claiming.refusal;
      if (this.#claimer.failures > 0) this.#claimer.resume();
      else this.#claimer.look();
      const handedOver = slot.job.then(() => "over" as const);
      const found = await withDeadline(Promise.race([looked.promise, handedOver]), lookDeadlineMs, closing);
      if (found !== "late") return found;
      if (lease.identity !== undefined) return "over";
      const where = describeUrl(this.#options.connectionString);
      throw new DatabaseUnreachableError(where, "this process's lease ran out, and it could not get a new one");
    } finally {
      for (const unsubscribe of subscriptions) unsubscribe();
    }
  }

  /**
   * Makes due jobs ready, so that they can be dequeued at once. If another process is promoting
   * them, it waits a moment for that.
   */
  async #promote(): Promise<void> {
    for (let tries = 0; tries < promoteTries; tries += 1) {
      const request = { limit: promoteBatch, afterMs: Number.NEGATIVE_INFINITY };
      const { promoted, nextDueInMs = Number.POSITIVE_INFINITY } = await this.#due.promote(request);
      if (promoted > 0 || nextDueInMs > 0) return;
      await sleep(promoteRestMs);
    }
  }
}
