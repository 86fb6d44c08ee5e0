import { hostname } from "node:os";
import {
  type Backoff,
  backoffMs,
  channels,
  checkSchema,
  createLocks,
  createLogger,
  redactingLogger,
  type Database,
  JobCancelledError,
  LeaseLostError,
  LockTimeoutError,
  type Logger,
  longestPromoteMs,
  longestTimerMs,
  openDatabase,
  orLate,
  readJobReady,
} from "@hark/core";
import { createProducer, type Producer } from "@hark/producer";
import { fallAsleep, NotifyGate, Listener } from "@hark/worker";
import { Calls } from "../calls.ts";
import { check } from "../check.ts";
import { type UrlJob, urlJobsWith } from "../define-url-job.ts";
import { QueueClosedError } from "../errors.ts";
import { type AddedJob, addUrlJob, type NewUrlJob } from "../url-job.ts";
import { Bell } from "./bell.ts";
import { Claims, queue } from "./claims.ts";
import { claimOf, type ClaimReference, type DequeuedJob, HeldJobs, isToken } from "./held-jobs.ts";
import { ProcessLease } from "./process-lease.ts";
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
import { QueueUpkeep } from "./queue-upkeep.ts";
import { endingOf, type FailedJob, Settlement } from "./settlement.ts";

/** How often who waits looks while no notifications arrive, in ms. */
const deafPollMs = 1_000;

/** Rests while a job is ready that no claim gets, in ms: another has it in hand, and may yet give it back. */
const heldUp: Backoff = { baseMs: 4, factor: 2, capMs: 250, jitter: 0.5 };

/** How long close() waits for the database at each step, in ms. What is left then is rescued when the lease runs out. */
const closeDeadlineMs = 5_000;

/**
 * DataShelf's queue operations, for callers who drive the loop themselves. dequeue() claims under this process's lease, which
 * is taken at the first dequeue and renewed until close(); it also does what a worker would do in the background (see
 * queue-upkeep.ts). Opens its connections when they are first needed.
 *
 * The locks of acquireLock() are a namespace of their own: a dequeued job holds its URL against other jobs by running, so
 * whoever runs it may lock the same URL without waiting for itself.
 */
export class PostgresQueue implements AsyncDisposable {
  readonly #connectionString: string;
  readonly #pollMs: number;
  readonly #name: string;
  readonly #logger: Logger;
  readonly #jobs: readonly UrlJob[];
  readonly #db: Database;
  readonly #producer: Producer;
  readonly #listener: Listener;
  readonly #gate: NotifyGate;
  readonly #lease: ProcessLease;
  readonly #held = new HeldJobs();
  readonly #claims: Claims;
  readonly #settlement: Settlement;
  readonly #calls = new Calls();
  readonly #jobReady = new Bell();
  /** Calls that wait for a job: while there are any, producers are to notify. */
  #sleepers = 0;
  readonly #closing = new AbortController();
  #checking: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /** Throws InvalidOptionsError with everything that is wrong with the options. */
  constructor(options: PostgresQueueOptions) {
    const settings = check("PostgresQueue", queueSettings, options);
    const {
      connectionString,
      listenUrl = connectionString,
      lockTTL: leaseMs,
      pollInterval,
      retryAttempts,
      cipher,
    } = settings;
    const logger = (this.#logger = redactingLogger(settings.logger ?? createLogger()));
    const name = (this.#name = settings.name ?? `${hostname()}:${process.pid}`);
    this.#connectionString = connectionString;
    this.#pollMs = pollInterval;
    const jobs = (this.#jobs = urlJobsWith(retryAttempts));

    const db = (this.#db = openDatabase({
      connectionString,
      isPooled: listenUrl !== connectionString,
      applicationName: "hark queue",
    }));
    this.#producer = createProducer({ database: db, cipher });
    this.#listener = new Listener({ connectionString: listenUrl, applicationName: "hark queue listener", logger });
    this.#gate = new NotifyGate({ connectionString: listenUrl, logger, onLost: () => this.#jobReady.ring() });
    const held = this.#held;
    this.#lease = new ProcessLease({
      connectionString,
      db,
      name,
      queue,
      leaseMs,
      logger,
      onLost: () => held.abort((job) => new LeaseLostError(job)),
    });
    const settlement = (this.#settlement = new Settlement({ db, held, jobs }));
    const upkeep = new QueueUpkeep({ db, held, leaseMs, logger });
    this.#claims = new Claims({ db, lease: this.#lease, held, upkeep, settlement, jobs, cipher, logger });

    this.#listener.on(channels.jobReady, (ready) => {
      if (ready === undefined) void this.#gate.check(); // what cost the listener its session may have cost the gate its own
      if (ready === undefined || readJobReady(ready).queue === queue) this.#jobReady.ring();
    });
    this.#listener.on(channels.jobScheduled, () => this.#jobReady.ring()); // it may be due before the waiter's rest ends
    this.#listener.on(channels.jobCancelled, (id) => {
      if (id !== undefined && /^\d{1,19}$/.test(id)) held.abort((job) => new JobCancelledError(job), BigInt(id));
    });
  }

  /**
   * Adds a job; who waits for one wakes at once. Nothing is written if it throws.
   * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidOptionsError
   */
  enqueue(job: NewUrlJob): Promise<AddedJob> {
    return this.#run("enqueue", () => addUrlJob("enqueue", this.#producer, this.#jobs, job));
  }

  /**
   * Claims the most urgent ready job: higher priority first, then older. Answers null if there is none, or none within `wait`.
   * The job is the caller's until it is settled, close() or the lease is lost; a job whose URL another one runs is not ready.
   */
  dequeue(options: DequeueOptions = {}): Promise<DequeuedJob | null> {
    return this.#run("dequeue", () => this.#dequeue(check("dequeue", dequeueOptions, options).wait));
  }

  /**
   * Ends a job well; `result` is any JSON up to 64 KiB, kept with it. Takes the dequeued job, or its id and token.
   * @throws LeaseLostError if the claim no longer holds, JobCancelledError if the job was cancelled: nothing was written
   */
  completeJob(job: ClaimReference, result?: unknown): Promise<void> {
    return this.#run("completeJob", () => this.#settlement.complete(claimOf("completeJob", job), result));
  }

  /**
   * Ends an attempt as failed and answers what became of the job: tried again after the backoff or `retryAfter`, or a dead
   * letter once it is out of attempts. RetryAfterError, SnoozeError and UnrecoverableError mean what they do when thrown.
   * @throws LeaseLostError if the claim no longer holds, JobCancelledError if the job was cancelled: nothing was written
   */
  failJob(job: ClaimReference, error: unknown, options: FailOptions = {}): Promise<FailedJob> {
    return this.#run("failJob", () => {
      const { retryAfter } = check("failJob", failOptions, options);
      return this.#settlement.fail(claimOf("failJob", job), endingOf(error, retryAfter));
    });
  }

  /**
   * Takes the lock on a URL (or any text up to 1024 bytes), waiting retryDelay * maxRetries for it. Answers the lock's value,
   * which releases it, or null if another holds it. It ends by itself after `ttl`.
   */
  acquireLock(url: string, options: LockOptions): Promise<string | null> {
    return this.#run("acquireLock", async () => {
      const { ttl: ttlMs, retryDelay, maxRetries } = check("acquireLock", lockOptions, options);
      const waitMs = retryDelay * maxRetries;
      if (waitMs > 0) this.#listener.start();
      // A listener that hears nothing yet would make the waiter look once a second only.
      const notifications = this.#listener.state === "listening" ? this.#listener : undefined;
      const locks = createLocks({ db: this.#db, notifications, owner: this.#name });
      try {
        return (await locks.acquire(url, { ttlMs, waitMs, signal: this.#closing.signal })).token;
      } catch (error) {
        if (error instanceof LockTimeoutError) return null;
        throw error;
      }
    });
  }

  /** Gives a lock up and wakes who waits for it. False if that value no longer held it: it ran out, or was never given. */
  releaseLock(url: string, lockValue: string): Promise<boolean> {
    return this.#run(
      "releaseLock",
      async () => isToken(lockValue) && createLocks({ db: this.#db }).release(url, lockValue),
    );
  }

  /**
   * Ends waiting calls, hands back what was dequeued and not settled without burning an attempt, and closes all connections.
   * Any number of calls close once.
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

  async #dequeue(waitMs: number): Promise<DequeuedJob | null> {
    if (waitMs > 0) this.#listener.start();
    this.#sleepers += 1;
    try {
      return await this.#waitForJob(waitMs);
    } finally {
      this.#sleepers -= 1;
      if (this.#sleepers === 0) this.#gate.close(queue);
    }
  }

  async #waitForJob(waitMs: number): Promise<DequeuedJob | null> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(Math.min(waitMs, longestTimerMs))]);
    const endsAt = performance.now() + waitMs;
    let heldUpRests = 0;
    for (;;) {
      const rung = this.#jobReady.arm(); // before the look, or a ring during it would be lost
      const found = await this.#claims.next();
      if ("job" in found) return found.job;
      if (signal.aborted || waitMs <= 0) return null;
      let restMs = Math.min(this.#pollMs, deafPollMs);
      if (this.#listener.state === "listening") {
        const isAnyReady = () => this.#claims.isAnyReady();
        const patience = AbortSignal.timeout(Math.ceil(Math.max(Math.min(this.#pollMs, found.nextDueInMs), 1)));
        const until = { rung, signal: AbortSignal.any([signal, patience]) };
        // What keeps the gate shut, or the question from an answer, is met again by the next look, which throws it.
        const isAsleep = await fallAsleep(this.#gate, queue, isAnyReady, until).catch(() => undefined);
        heldUpRests = isAsleep === false ? heldUpRests + 1 : 0;
        // Its look promotes too.
        if (isAsleep === true) restMs = Math.min(this.#pollMs, longestPromoteMs);
        else if (isAsleep === false) restMs = backoffMs(heldUp, heldUpRests);
      }
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0 || this.#closing.signal.aborted) return null;
      await orLate(rung, Math.max(Math.min(leftMs, restMs, found.nextDueInMs), 1));
    }
  }

  async #close(): Promise<void> {
    this.#closing.abort(new QueueClosedError("close"));
    this.#jobReady.ring();
    await orLate(this.#calls.ended(), closeDeadlineMs);
    try {
      const handedBack = await orLate(this.#settlement.handBack(), closeDeadlineMs);
      if (handedBack !== 0) this.#logger.info({ handedBack }, "handed back dequeued jobs that were not settled");
    } catch (error) {
      this.#logger.warn({ error }, "could not hand back dequeued jobs: they are taken back when the lease runs out");
    }
    await this.#lease.stop();
    await this.#gate.stop();
    await this.#listener.close();
    await orLate(this.#db.close(), closeDeadlineMs);
  }
}
