import { createLocks, createLogger, type Database, getStats, type Logger, openDatabase, type Stats } from "@hark/core";
import { orLate, redactingLogger } from "@hark/core/internal";
import { createProducer, type Producer } from "@hark/producer";
import { createWorker, type Worker } from "@hark/worker";
import type { z } from "zod";
import { Calls } from "./calls.ts";
import { check } from "./check.ts";
import {
  checkChoice,
  type DeadLetterJob,
  deadLetters,
  prune,
  type PruneDeadLettersOptions,
  remove,
  requeue,
} from "./dead-letters.ts";
import { type UrlJob, urlJobsWith } from "./define-url-job.ts";
import { NoProcessorError, NotInitializedError } from "./errors.ts";
import { type JobManagerOptions, managerSettings, processorArgument } from "./job-manager-options.ts";
import { databaseTrouble, healthOf, type JobManagerHealth, managerState, type ManagerState } from "./manager-health.ts";
import { prepareSchema } from "./prepare-schema.ts";
import { handlerOf, type JobProcessor } from "./processor.ts";
import { settingsOf } from "./settings.ts";
import { Turns } from "./turns.ts";
import { addUrlJob, addUrlJobs, type NewUrlJob } from "./url-job.ts";
import { type LockOptions, lockValueOf, lockWaitOf, type UrlLocks } from "./url-locks.ts";

/** How long closing may wait for the database, in ms. */
const closeDeadlineMs = 5_000;
const leastCloseMs = 250;

/** How long a stop may take after the drain, in ms: the worker's part of it is as long. */
const afterDrainMs = 4_000;

/** What initialize() opens. */
interface Opened {
  readonly database: Database;
  readonly producer: Producer;
}

/**
 * A producer and a worker for URL jobs of the types `navigation`, `category` and `product`. Call
 * initialize() to add jobs, and setJobProcessor() and start() to run them. createServer() accepts
 * it as `runtime`, and its job types as `jobs`.
 */
export class JobManager implements UrlLocks, AsyncDisposable {
  /** The job types, for createServer or for another worker. */
  readonly jobs: readonly UrlJob[];
  readonly #settings: z.output<typeof managerSettings>;
  readonly #logger: Logger;
  readonly #calls = new Calls();
  #processor: JobProcessor | undefined;
  #open: Opened | undefined;
  #worker: Worker | undefined;
  #initializing: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #isHurried = false;
  #stopped = Promise.withResolvers<{ isComplete: boolean }>();

  /**
   * Does not connect. Options that are not given come from the environment.
   * @throws InvalidOptionsError with every wrong option and variable
   */
  constructor(options: JobManagerOptions = {}) {
    this.#settings = settingsOf("JobManager", managerSettings, options);
    this.#logger = redactingLogger(this.#settings.logger ?? createLogger());
    this.jobs = urlJobsWith(this.#settings.retryAttempts);
  }

  /**
   * Connects, and brings the database's schema up to date unless `migrate` is false. May be called
   * again if it fails.
   * @throws DatabaseUnreachableError, SchemaVersionError, MigrationBlockedError
   */
  async initialize(): Promise<void> {
    await this.#stopping;
    await (this.#initializing ??= this.#initialize().catch((error: unknown) => {
      this.#initializing = undefined;
      throw error;
    }));
  }

  /** Sets the function that runs jobs. A new one applies to the jobs that start afterwards. */
  setJobProcessor(processor: JobProcessor): void {
    check("setJobProcessor", processorArgument, { processor });
    this.#processor = processor;
  }

  /**
   * Starts running jobs, and resolves once it claims them. May be called again if it fails.
   * @throws NotInitializedError, NoProcessorError, SchemaVersionError, DatabaseUnreachableError
   */
  async start(): Promise<void> {
    await this.#stopping;
    this.#opened("start");
    if (!this.#processor) throw new NoProcessorError();
    await (this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    }));
  }

  /**
   * Stops claiming, and waits up to drainTimeout for the running jobs. Aborts the rest and hands
   * them back without counting the attempt. Then closes all connections. `"now"` skips the wait,
   * also that of an earlier stop(). Afterwards initialize() and start() work again.
   */
  async stop(how: "drain" | "now" = "drain"): Promise<void> {
    if (how === "now") {
      this.#isHurried = true;
      void this.#worker?.stop("now"); // awaited below, by the running stop
    }
    await (this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
      this.#isHurried = false;
    }));
  }

  /** Resolves after the next stop, by a signal or by code, so that runUntilSignalled() ends. */
  get stopped(): Promise<{ isComplete: boolean }> {
    return this.#stopped.promise;
  }

  /**
   * Adds a job and returns its id. Workers wake at once. With the unique key of an unfinished job,
   * nothing is added, and the id is that job's. Nothing is written if it throws.
   * @throws NotInitializedError, UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError,
   * InvalidOptionsError
   */
  addJob(job: NewUrlJob): Promise<string> {
    return this.#run("addJob", async ({ producer }) => (await addUrlJob("addJob", producer, this.jobs, job)).id);
  }

  /**
   * Adds jobs in one statement, all or none. Returns their ids in the order given. Throws as
   * addJob() does.
   */
  addJobs(jobs: readonly NewUrlJob[]): Promise<string[]> {
    return this.#run("addJobs", ({ producer }) => addUrlJobs("addJobs", producer, this.jobs, jobs));
  }

  /**
   * Counts the jobs of all queues by state: `queued`, `running`, `completed`, `failed`, and in
   * `states` each state by itself.
   */
  getStats(): Promise<Stats> {
    return this.#run("getStats", ({ database }) => getStats(database));
  }

  /** Returns within about two seconds, even if the database does not answer. */
  async healthCheck(): Promise<JobManagerHealth> {
    const trouble = await this.#calls.run(() => databaseTrouble(this.#open?.database, this.#settings.connectionString));
    return healthOf(this.health(), trouble, this.#worker);
  }

  /** Returns the state of this process, without asking the database. */
  health(): ManagerState {
    return managerState(this.#worker, this.#settings.concurrency);
  }

  /**
   * Returns at most `limit` (1 to 200) dead letters, oldest first. New ones come last, so they do
   * not shift an index.
   */
  getDeadLetterJobs(limit = 100): Promise<DeadLetterJob[]> {
    return this.#run("getDeadLetterJobs", ({ database }) => deadLetters(database, { limit }));
  }

  /**
   * Makes a dead letter ready again, with its attempts counted from zero. A number is a place in
   * the list of getDeadLetterJobs. A string is an id, which is safer if other callers requeue too.
   * @throws DeadLetterNotFoundError, UniqueKeyTakenError, InvalidOptionsError
   */
  requeueDeadLetterJob(indexOrId: number | string): Promise<{ id: string; type: string }> {
    const method = "requeueDeadLetterJob";
    return this.#run(method, ({ database }) => requeue(database, checkChoice(method, indexOrId)));
  }

  /**
   * Deletes a dead letter for ever. Takes what requeueDeadLetterJob() takes.
   * @throws DeadLetterNotFoundError, InvalidOptionsError
   */
  deleteDeadLetterJob(indexOrId: number | string): Promise<{ id: string; type: string }> {
    const method = "deleteDeadLetterJob";
    return this.#run(method, ({ database }) => remove(database, checkChoice(method, indexOrId)));
  }

  /**
   * Deletes the dead letters of an age for ever, and returns how many.
   * @throws InvalidOptionsError
   */
  pruneDeadLetterJobs(options: PruneDeadLettersOptions): Promise<number> {
    return this.#run("pruneDeadLetterJobs", ({ database }) => prune(database, options));
  }

  acquireLock(url: string, options: LockOptions = {}): Promise<string | null> {
    return this.#run("acquireLock", async ({ database }) => {
      const wait = lockWaitOf(options, this.#settings.lockTTL);
      // The worker's locks hear of a release. Without a worker, a waiter looks about every 100 ms.
      return lockValueOf(this.#worker?.locks ?? createLocks({ db: database }), url, wait);
    });
  }

  releaseLock(url: string, lockValue: string): Promise<boolean> {
    return this.#run("releaseLock", ({ database }) => createLocks({ db: database }).release(url, lockValue));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #run<Answer>(method: string, work: (opened: Opened) => Promise<Answer>): Promise<Answer> {
    return this.#calls.run(async () => work(this.#opened(method)));
  }

  #opened(method: string): Opened {
    if (!this.#open) throw new NotInitializedError(method);
    return this.#open;
  }

  async #initialize(): Promise<void> {
    const { connectionString, password, listenUrl, migrate, cipher } = this.#settings;
    await prepareSchema({ connectionString, password }, migrate, this.#logger);
    const isPooled = listenUrl !== undefined && listenUrl !== connectionString;
    const database = openDatabase({ connectionString, password, isPooled, applicationName: "hark job manager" });
    this.#open = { database, producer: createProducer({ database, cipher }) };
  }

  async #start(): Promise<void> {
    const { connectionString, password, listenUrl, drainTimeout, name, cipher, ...settings } = this.#settings;
    const turns = new Turns({ database: this.#open!.database, delayMs: settings.requestDelay });
    const locks: UrlLocks = {
      acquireLock: (url, options) => this.acquireLock(url, options),
      releaseLock: (url, lockValue) => this.releaseLock(url, lockValue),
    };
    const parts = { current: () => this.#processor!, turns, locks };
    const worker = createWorker({
      connectionString,
      password,
      listenUrl,
      handlers: this.jobs.map((job) => handlerOf(job, parts)),
      queues: settings.concurrency,
      lease: settings.lease,
      pollInterval: settings.pollInterval,
      promoteInterval: settings.delayedJobsInterval,
      drainTimeout,
      logger: this.#logger,
      ...(cipher && { cipher }),
      ...(name !== undefined && { name }),
    });
    await worker.start();
    this.#worker = worker;
  }

  async #stop(): Promise<void> {
    const endsAt = performance.now() + this.#settings.drainTimeout + afterDrainMs;
    /** Waits for as long as is left of the whole stop, which has one deadline (FM-73). */
    const within = (work: Promise<unknown>) =>
      orLate(work, Math.min(Math.max(endsAt - performance.now(), leastCloseMs), closeDeadlineMs));
    await Promise.allSettled([this.#initializing, this.#starting]);
    // The database stays open while jobs run, because a job may still add others.
    const worker = this.#worker;
    await worker?.stop(this.#isHurried ? "now" : "drain");
    const { isComplete } = worker ? await worker.stopped : { isComplete: true };
    const open = this.#open;
    this.#open = this.#worker = this.#initializing = this.#starting = undefined;
    await within(this.#calls.ended());
    if (open) await within(open.database.close());
    this.#stopped.resolve({ isComplete });
    this.#stopped = Promise.withResolvers();
  }
}
