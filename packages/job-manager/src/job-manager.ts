import {
  checkSchema,
  createLogger,
  type Database,
  getStats,
  type Logger,
  migrate,
  openDatabase,
  type Stats,
} from "@hark/core";
import { checkConnection, redactingLogger, describeUrl, orLate } from "@hark/core/internal";
import { createProducer, type Producer } from "@hark/producer";
import { createWorker, type Worker } from "@hark/worker";
import type { z } from "zod";
import { Calls } from "./calls.ts";
import { check } from "./check.ts";
import { checkChoice, type DeadLetterJob, deadLetters, requeue } from "./dead-letters.ts";
import { type UrlJob, urlJobsWith } from "./define-url-job.ts";
import { NoProcessorError, NotInitializedError } from "./errors.ts";
import { type JobManagerOptions, managerSettings, processorArgument } from "./job-manager-options.ts";
import { handlerOf, type JobProcessor } from "./processor.ts";
import { type AddedJob, addUrlJob, type NewUrlJob } from "./url-job.ts";

export interface JobManagerHealth {
  /** True while it claims and runs jobs. */
  readonly isRunning: boolean;
  /** Jobs that run now. */
  readonly activeWorkers: number;
  readonly databaseConnected: boolean;
  /** Every problem in words. Empty if all is well. */
  readonly reasons: readonly string[];
}

/** How long a health check waits for the database, in ms. Monitors ask often and give up early. */
const healthDeadlineMs = 2_000;

/** How long closing may wait for the database, in ms. */
const closeDeadlineMs = 5_000;

/**
 * A producer and a worker for URL jobs of the types `navigation`, `category` and `product`. Call
 * initialize() to add jobs, and setJobProcessor() and start() to run them. createServer() accepts
 * it as `runtime`, and its job types as `jobs`.
 */
export class JobManager implements AsyncDisposable {
  /** The job types, for createServer or for another worker. */
  readonly jobs: readonly UrlJob[];
  readonly #settings: z.output<typeof managerSettings>;
  readonly #logger: Logger;
  readonly #calls = new Calls();
  #processor: JobProcessor | undefined;
  #open: { readonly database: Database; readonly producer: Producer } | undefined;
  #worker: Worker | undefined;
  #initializing: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #isHurried = false;

  /**
   * Does not connect. Throws InvalidOptionsError with every issue if the options are invalid.
   */
  constructor(options: JobManagerOptions) {
    this.#settings = check("JobManager", managerSettings, options);
    this.#logger = redactingLogger(this.#settings.logger ?? createLogger());
    this.jobs = urlJobsWith(this.#settings.retryAttempts);
  }

  /**
   * Checks that the database answers and has this code's schema. May be called again if it fails.
   * @throws DatabaseUnreachableError, SchemaVersionError
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

  /**
   * Adds a job. Workers wake at once. Nothing is written if it throws.
   * @throws NotInitializedError, UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError,
   * InvalidOptionsError
   */
  addJob(job: NewUrlJob): Promise<AddedJob> {
    return this.#calls.run(async () => addUrlJob("addJob", this.#opened("addJob").producer, this.jobs, job));
  }

  /**
   * Counts the jobs of all queues by state: `queued`, `running`, `completed`, `failed`, and in
   * `states` each state by itself.
   */
  getStats(): Promise<Stats> {
    return this.#calls.run(async () => getStats(this.#opened("getStats").database));
  }

  /** Returns within about two seconds, even if the database does not answer. */
  async healthCheck(): Promise<JobManagerHealth> {
    const trouble = await this.#databaseTrouble();
    const own = this.#worker ? this.#worker.health().reasons : ["the JobManager is not started"];
    return {
      ...this.health(),
      databaseConnected: trouble === undefined,
      reasons: trouble === undefined ? own : [trouble, ...own],
    };
  }

  /** Returns the state of this process, without asking the database. */
  health(): { isRunning: boolean; activeWorkers: number } {
    const worker = this.#worker?.health();
    return { isRunning: worker?.state === "running", activeWorkers: worker?.activeJobs ?? 0 };
  }

  /**
   * Returns at most `limit` (1 to 200) dead letters, oldest first. New ones come last, so they do
   * not shift an index.
   */
  getDeadLetterJobs(limit = 100): Promise<DeadLetterJob[]> {
    return this.#calls.run(async () => deadLetters(this.#opened("getDeadLetterJobs").database, { limit }));
  }

  /**
   * Makes a dead letter ready again, with its attempts counted from zero. A number is a place in
   * the list of getDeadLetterJobs. A string is an id, which is safer if other callers requeue too.
   * @throws DeadLetterNotFoundError, UniqueKeyTakenError, InvalidOptionsError
   */
  requeueDeadLetterJob(indexOrId: number | string): Promise<{ id: string; type: string }> {
    return this.#calls.run(async () => {
      const { database } = this.#opened("requeueDeadLetterJob");
      return requeue(database, checkChoice(indexOrId));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #opened(method: string): { readonly database: Database; readonly producer: Producer } {
    if (!this.#open) throw new NotInitializedError(method);
    return this.#open;
  }

  async #initialize(): Promise<void> {
    const { connectionString, listenUrl } = this.#settings;
    if (this.#settings.migrate) {
      const applied = await migrate({ connectionString });
      if (applied.length > 0) this.#logger.info({ applied }, "migrated the database");
    } else {
      await checkSchema(connectionString);
    }
    const isPooled = listenUrl !== undefined && listenUrl !== connectionString;
    const database = openDatabase({ connectionString, isPooled, applicationName: "hark job manager" });
    this.#open = { database, producer: createProducer({ database, cipher: this.#settings.cipher }) };
  }

  async #start(): Promise<void> {
    const {
      connectionString,
      listenUrl,
      concurrency,
      lockTTL,
      pollInterval,
      delayedJobsInterval,
      drainTimeout,
      name,
      cipher,
    } = this.#settings;
    const worker = createWorker({
      connectionString,
      listenUrl,
      handlers: this.jobs.map((job) => handlerOf(job, () => this.#processor!)),
      queues: concurrency,
      lease: lockTTL,
      pollInterval,
      promoteInterval: delayedJobsInterval,
      drainTimeout,
      logger: this.#logger,
      ...(cipher && { cipher }),
      ...(name !== undefined && { name }),
    });
    await worker.start();
    this.#worker = worker;
  }

  async #stop(): Promise<void> {
    await Promise.allSettled([this.#initializing, this.#starting]);
    // The database stays open while jobs run, because a job may still add others.
    await this.#worker?.stop(this.#isHurried ? "now" : "drain");
    const open = this.#open;
    this.#open = this.#worker = this.#initializing = this.#starting = undefined;
    await orLate(this.#calls.ended(), closeDeadlineMs);
    if (open) await orLate(open.database.close(), closeDeadlineMs);
  }

  /** Returns why the database does not count as connected, or undefined if it answers. */
  async #databaseTrouble(): Promise<string | undefined> {
    if (!this.#open) return "the JobManager is not initialised, or was stopped";
    const { database } = this.#open;
    const where = describeUrl(this.#settings.connectionString);
    try {
      const answer = await orLate(
        this.#calls.run(() => checkConnection(database, where)),
        healthDeadlineMs,
      );
      return answer === "late" ? `the database at ${where} did not answer within ${healthDeadlineMs} ms` : undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
