import { hostname } from "node:os";
import {
  checkSchema,
  createLocks,
  createLogger,
  type Database,
  decideOutcome,
  defaultBackoff,
  getJob,
  LockTimeoutError,
  openDatabase,
  orLate,
  type Outcome,
  redactingLogger,
  RetryBudget,
  type statements,
} from "@hark/core";
import { createProducer, type Producer } from "@hark/producer";
import { AttemptEnd } from "@hark/worker/internal";
import { Calls } from "../calls.ts";
import { check } from "../check.ts";
import { type UrlJob, urlJobsWith } from "../define-url-job.ts";
import { QueueClosedError } from "../errors.ts";
import { type AddedJob, addUrlJob, type NewUrlJob } from "../url-job.ts";
import { claimOf, type ClaimReference, type DequeuedJob, isToken } from "./dequeued-job.ts";
import { endingOfFailure, type FailedJob, failedJob, refusalOf, resultJsonOf } from "./outcome-of.ts";
import {
  dequeueOptions,
  type DequeueOptions,
  failOptions,
  type FailOptions,
  lockOptions,
  type LockOptions,
  type PostgresQueueOptions,
  queueSettings,
} from "./queue-options.ts";
import { QueueRuntime } from "./queue-runtime.ts";

/** The queue of DataShelf's job types. */
const queue = "default";

/** How long close() waits for calls that are under way, and for its own connections, in ms. */
const closeDeadlineMs = 5_000;

/**
 * DataShelf's queue operations, for callers who drive the loop themselves. The first dequeue()
 * starts a worker that hands its jobs to the callers (see queue-runtime.ts). It keeps a lease until
 * close(), and does all that workers do in the background. Connections are opened when they are
 * first needed.
 *
 * The locks of acquireLock() are a namespace of their own: a dequeued job holds its URL against
 * other jobs by running, so the caller that runs it may lock the same URL without waiting for
 * itself.
 */
export class PostgresQueue implements AsyncDisposable {
  readonly #connectionString: string;
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

  /** Throws InvalidOptionsError with everything that is wrong with the options. */
  constructor(options: PostgresQueueOptions) {
    const settings = check("PostgresQueue", queueSettings, options);
    const { connectionString, listenUrl = connectionString, retryAttempts, cipher } = settings;
    const logger = redactingLogger(settings.logger ?? createLogger());
    const name = (this.#name = settings.name ?? `${hostname()}:${process.pid}`);
    const jobs = (this.#jobs = urlJobsWith(retryAttempts));
    this.#connectionString = connectionString;
    const db = (this.#db = openDatabase({
      connectionString,
      isPooled: listenUrl !== connectionString,
      applicationName: "hark queue",
    }));
    this.#producer = createProducer({ database: db, cipher });
    const { lockTTL: leaseMs, pollInterval: pollMs } = settings;
    this.#makeRuntime = () =>
      new QueueRuntime({ connectionString, listenUrl, leaseMs, pollMs, name, cipher, db, queue, jobs, logger });
    this.#runtime = this.#makeRuntime();
  }

  /**
   * Adds a job; a caller that waits for one gets it at once. Nothing is written if it throws.
   * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidOptionsError
   */
  enqueue(job: NewUrlJob): Promise<AddedJob> {
    return this.#run("enqueue", () => addUrlJob("enqueue", this.#producer, this.#jobs, job));
  }

  /**
   * Claims the most urgent ready job: higher priority first, then older. Returns null if there is
   * none, or none within `wait`. The job is the caller's until it is settled, cancelled, close() or
   * the lease is lost. A job whose URL another one runs is not ready.
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
   * Ends a job well; `result` is any JSON up to 64 KiB, kept with it. Takes the dequeued job, or
   * its id and token. Resolves once that is written, which waits for a database that does not
   * answer.
   * @throws LeaseLostError if the claim no longer holds, JobCancelledError if the job was
   * cancelled: nothing was written
   */
  completeJob(job: ClaimReference, result?: unknown): Promise<void> {
    return this.#run("completeJob", async () => {
      const claim = claimOf("completeJob", job);
      const resultJson = resultJsonOf(result);
      const settled =
        this.#runtime.end(claim, { result }) ?? this.#runtime.settle(claim, { state: "completed", resultJson });
      if ((await settled) === "refused") throw refusalOf(claim, job, await getJob(this.#db, claim.id));
    });
  }

  /**
   * Ends an attempt as failed and returns what became of the job: tried again after the backoff or
   * `retryAfter`, or a dead letter once it is out of attempts. RetryAfterError, SnoozeError and
   * UnrecoverableError mean what they do when thrown.
   * @throws LeaseLostError if the claim no longer holds, JobCancelledError if the job was
   * cancelled: nothing was written
   */
  failJob(job: ClaimReference, error: unknown, options: FailOptions = {}): Promise<FailedJob> {
    return this.#run("failJob", async () => {
      const { retryAfter } = check("failJob", failOptions, options);
      const claim = claimOf("failJob", job);
      const end = new AttemptEnd(endingOfFailure(error, retryAfter));
      const outcome = await (this.#runtime.end(claim, end) ?? this.#failByClaim(claim, end));
      if (outcome === "refused") throw refusalOf(claim, job, await getJob(this.#db, claim.id));
      return failedJob(outcome);
    });
  }

  /**
   * Takes the lock on a URL (or any text up to 1024 bytes), waiting retryDelay * maxRetries for it.
   * Returns the lock's value, which releases it, or null if another holds it. It ends by itself
   * after `ttl`.
   */
  acquireLock(url: string, options: LockOptions): Promise<string | null> {
    return this.#run("acquireLock", async () => {
      const { ttl: ttlMs, retryDelay, maxRetries } = check("acquireLock", lockOptions, options);
      const waitMs = retryDelay * maxRetries;
      const { listener } = this.#runtime;
      if (waitMs > 0) listener.start();
      // While a listener hears nothing, the waiter would look once a second only.
      const notifications = listener.state === "listening" ? listener : undefined;
      const locks = createLocks({ db: this.#db, notifications, owner: this.#name });
      try {
        return (await locks.acquire(url, { ttlMs, waitMs, signal: this.#closing.signal })).token;
      } catch (error) {
        if (error instanceof LockTimeoutError) return null;
        throw error;
      }
    });
  }

  /**
   * Gives a lock up and wakes the next that waits for it. False if that value no longer held it: it
   * ran out, or was never given.
   */
  releaseLock(url: string, lockValue: string): Promise<boolean> {
    return this.#run(
      "releaseLock",
      async () => isToken(lockValue) && createLocks({ db: this.#db }).release(url, lockValue),
    );
  }

  /**
   * Ends waiting calls, hands back what was dequeued and not settled without burning an attempt,
   * and closes all connections. Any number of calls close once.
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
      await (this.#checking ??= checkSchema(this.#connectionString).catch((error: unknown) => {
        this.#checking = undefined;
        throw error;
      }));
      return work();
    });
  }

  /**
   * Decides for a claim that is not in hand here: it is read, which is safe since the write names
   * the token.
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
