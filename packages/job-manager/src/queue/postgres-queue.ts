import { hostname } from "node:os";
import { createLocks, createLogger, type Database, getJob, type Logger, openDatabase, type Outcome } from "@hark/core";
import {
  decideOutcome,
  defaultBackoff,
  orLate,
  redactingLogger,
  RetryBudget,
  type statements,
} from "@hark/core/internal";
import { createProducer, type Producer } from "@hark/producer";
import { AttemptEnd, completedWith } from "@hark/worker/internal";
import type { z } from "zod";
import { Calls } from "../calls.ts";
import { check } from "../check.ts";
import { type UrlJob, urlJobsWith } from "../define-url-job.ts";
import { JobNotDequeuedError, OutcomeRejectedError, QueueClosedError } from "../errors.ts";
import { prepareSchema } from "../prepare-schema.ts";
import { settingsOf } from "../settings.ts";
import { type AddedJob, addUrlJob, type NewUrlJob } from "../url-job.ts";
import { type LockOptions, lockValueOf, lockWaitOf, type UrlLocks } from "../url-locks.ts";
import { claimOf, type ClaimReference, type DequeuedJob, idOf, isToken } from "./dequeued-job.ts";
import { endingOfFailure, type FailedJob, failedJob, refusalOf } from "./outcome-of.ts";
import {
  dequeueOptions,
  type DequeueOptions,
  failOptions,
  type FailOptions,
  type PostgresQueueOptions,
  queueSettings,
} from "./queue-options.ts";
import { QueueRuntime } from "./queue-runtime.ts";

/** The queue of the URL job types. */
const queue = "default";

/** How long close() waits for running calls, and for its own connections, in ms. */
const closeDeadlineMs = 5_000;

/**
 * A queue of URL jobs for callers that run the loop themselves. The first dequeue() starts a worker
 * that hands its jobs to the callers (see queue-runtime.ts). It keeps a lease until close(), and
 * does all background work of a worker. Connections are opened when they are first needed.
 *
 * The locks of acquireLock() have a namespace of their own. A running job already keeps other jobs
 * of its URL from running, without such a lock, so its caller may lock the same URL without waiting
 * for itself.
 */
export class PostgresQueue implements UrlLocks, AsyncDisposable {
  readonly #settings: z.output<typeof queueSettings>;
  readonly #logger: Logger;
  readonly #name: string;
  readonly #jobs: readonly UrlJob[];
  readonly #db: Database;
  readonly #producer: Producer;
  readonly #makeRuntime: () => QueueRuntime;
  #runtime: QueueRuntime;
  readonly #retries = new RetryBudget();
  readonly #calls = new Calls();
  readonly #closing = new AbortController();
  #checking: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Does not connect. Options that are not given come from the environment.
   * @throws InvalidOptionsError with every wrong option and variable
   */
  constructor(options: PostgresQueueOptions = {}) {
    const settings = (this.#settings = settingsOf("PostgresQueue", queueSettings, options));
    const { connectionString, password, listenUrl = connectionString, retryAttempts, cipher } = settings;
    const logger = (this.#logger = redactingLogger(settings.logger ?? createLogger()));
    const name = (this.#name = settings.name ?? `${hostname()}:${process.pid}`);
    const jobs = (this.#jobs = urlJobsWith(retryAttempts));
    const db = (this.#db = openDatabase({
      connectionString,
      password,
      isPooled: listenUrl !== connectionString,
      applicationName: "hark queue",
    }));
    this.#producer = createProducer({ database: db, cipher });
    const { lease: leaseMs, pollInterval: pollMs, keepDays } = settings;
    this.#makeRuntime = () =>
      new QueueRuntime({
        connectionString,
        password,
        listenUrl,
        leaseMs,
        pollMs,
        keepDays,
        name,
        cipher,
        db,
        queue,
        jobs,
        logger,
      });
    this.#runtime = this.#makeRuntime();
  }

  /**
   * Adds a job. A waiting caller gets it at once. Nothing is written if it throws.
   * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidOptionsError
   */
  enqueue(job: NewUrlJob): Promise<AddedJob> {
    return this.#run("enqueue", () => addUrlJob("enqueue", this.#producer, this.#jobs, job));
  }

  /**
   * Claims the most urgent ready job: higher priority first, then older. Returns null if there is
   * none within `wait`. The caller has the job until it is settled or cancelled, until close(), or
   * until the lease is lost. A job is not ready while another job of its URL runs.
   */
  dequeue(options: DequeueOptions = {}): Promise<DequeuedJob | null> {
    return this.#run("dequeue", async () => {
      const { wait } = check("dequeue", dequeueOptions, options);
      const runtime = this.#runtime;
      try {
        await runtime.start();
      } catch (error) {
        if (this.#runtime === runtime) this.#runtime = this.#makeRuntime(); // the next call tries again
        throw error;
      }
      return runtime.next(wait, this.#closing.signal);
    });
  }

  /**
   * Completes a job, and keeps what JSON makes of `result` with it, up to 64 KiB. A result that
   * cannot be kept completes the job without it, and is logged. Takes the dequeued job, or its id
   * and token, or the id alone of a job that was dequeued here. Resolves once the outcome is
   * written. While the database cannot write it, it waits and tries again, until close().
   * @throws OutcomeRejectedError if the database rejected the outcome, LeaseLostError if the claim
   * no longer holds, JobCancelledError if the job was cancelled, JobNotDequeuedError. Nothing was
   * written then
   */
  completeJob(job: ClaimReference | string, result?: unknown): Promise<void> {
    return this.#run("completeJob", async () => {
      const claim = this.#claimOf("completeJob", job);
      const settled =
        this.#runtime.end(claim, { result }) ??
        this.#runtime.settle(claim, completedWith("a URL job", result, this.#logger));
      const written = await settled;
      if (written === "refused") throw refusalOf(claim, job, await getJob(this.#db, claim.id));
      if (written.state === "dead") throw new OutcomeRejectedError(claim.id, written.error);
    });
  }

  /**
   * Ends an attempt as failed, and returns the job's new state: a retry after the backoff or
   * `retryAfter`, or a dead letter if no attempts are left. RetryAfterError, SnoozeError and
   * UnrecoverableError have the same effect as when a handler throws them. Takes the job as
   * completeJob() does.
   * @throws LeaseLostError if the claim no longer holds, JobCancelledError if the job was
   * cancelled, JobNotDequeuedError. Nothing was written then
   */
  failJob(job: ClaimReference | string, error: unknown, options: FailOptions = {}): Promise<FailedJob> {
    return this.#run("failJob", async () => {
      const { retryAfter } = check("failJob", failOptions, options);
      const claim = this.#claimOf("failJob", job);
      const end = new AttemptEnd(endingOfFailure(error, retryAfter));
      const outcome = await (this.#runtime.end(claim, end) ?? this.#failByClaim(claim, end));
      if (outcome === "refused") throw refusalOf(claim, job, await getJob(this.#db, claim.id));
      return failedJob(outcome);
    });
  }

  acquireLock(url: string, options: LockOptions = {}): Promise<string | null> {
    return this.#run("acquireLock", async () => {
      const wait = lockWaitOf(options, this.#settings.lockTTL);
      const { listener } = this.#runtime;
      if (wait.waitMs > 0) listener.start();
      // Passes the listener only while it listens. With it, the waiter polls once a second, and
      // without it about every 100 ms.
      const notifications = listener.state === "listening" ? listener : undefined;
      const locks = createLocks({ db: this.#db, notifications, owner: this.#name });
      return lockValueOf(locks, url, { ...wait, signal: this.#closing.signal });
    });
  }

  releaseLock(url: string, lockValue: string): Promise<boolean> {
    return this.#run(
      "releaseLock",
      async () => isToken(lockValue) && createLocks({ db: this.#db }).release(url, lockValue),
    );
  }

  /**
   * Ends waiting calls, hands back unsettled jobs without counting the attempt, and closes all
   * connections. May be called more than once.
   */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #run<Answer>(method: string, work: () => Promise<Answer>): Promise<Answer> {
    return this.#calls.run(async () => {
      if (this.#closing.signal.aborted) throw new QueueClosedError(method);
      await (this.#checking ??= this.#prepare().catch((error: unknown) => {
        this.#checking = undefined;
        throw error;
      }));
      return work();
    });
  }

  #prepare(): Promise<void> {
    const { migrate, ...login } = this.#settings;
    return prepareSchema(login, migrate, this.#logger);
  }

  /** Returns the claim of a reference. An id alone stands for the latest claim of it made here. */
  #claimOf(method: string, job: ClaimReference | string): statements.Claim {
    if (typeof job !== "string") return claimOf(method, job);
    const claim = this.#runtime.claimOf(idOf(method, job));
    if (!claim) throw new JobNotDequeuedError(method, job);
    return claim;
  }

  /**
   * Decides the outcome for a claim that no caller here has. It reads the job first. A stale read
   * does no harm, since the write checks the token.
   */
  async #failByClaim(claim: statements.Claim, { ending }: AttemptEnd): Promise<Outcome | "refused"> {
    const tried = await getJob(this.#db, claim.id);
    if (tried?.state !== "running") return "refused";
    const backoff = this.#jobs.find(({ type }) => type === tried.type)?.backoff ?? defaultBackoff;
    return this.#runtime.settle(claim, this.#retries.spread(decideOutcome(tried, ending, backoff)));
  }

  async #close(): Promise<void> {
    this.#closing.abort(new QueueClosedError("close"));
    await orLate(this.#calls.ended(), closeDeadlineMs);
    await this.#runtime.stop();
    await orLate(this.#db.close(), closeDeadlineMs);
  }
}
