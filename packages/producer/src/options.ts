// Not from @hark/core itself, which also loads a logger: this package is to load quickly.
import type {
  Database,
  Duration,
  InputOf,
  JobDefinition,
  JobSettings,
  Password,
  PayloadCipher,
  PgPool,
} from "@hark/core";
import { databaseChoiceIssues, InvalidOptionsError, type OptionKinds } from "@hark/core/internal";
import type { MaxDepth } from "./depth-limit.ts";

export interface EnqueueOptions extends JobSettings {
  /** Wait this long before the first attempt. Not with `runAt`. */
  delay?: Duration;
  /** Earliest start. A time in the past means now. Not with `delay`. */
  runAt?: Date;
}

/** One job of enqueueMany(). */
export interface JobRequest<Job extends JobDefinition = JobDefinition> {
  /** The job type, made by defineJob(). */
  job: Job;
  /** The input for the handler. The type's schema checks it. */
  payload: InputOf<Job>;
  /** Options that override the type's own settings. */
  options?: EnqueueOptions;
}

export interface EnqueueFromOptions {
  /**
   * Most jobs in one insert, from 1 to 10,000. Default: 1,000. Larger inserts gain little and hold
   * locks longer.
   */
  batchSize?: number;
}

export type ProducerOptions = {
  /**
   * Most ready jobs in a queue. Beyond it, jobs are refused with QueueFullError. Default: no limit.
   * The producer counts at most about ten times a second, so several producers together may exceed
   * the limit by what they insert in between.
   */
  maxDepth?: MaxDepth | undefined;
  /**
   * Encrypts every payload before it reaches the database. Workers need the same cipher. Keys of
   * jobs stay readable.
   */
  cipher?: PayloadCipher | undefined;
} & (
  | {
      /** A pg pool of the application. close() leaves it open. */
      pool: PgPool;
      isPooled?: boolean;
    }
  | {
      /** The URL of the database. The producer opens its own connections. */
      connectionString: string;
      /** Called for each new connection, for passwords that change. The URL then needs none. */
      password?: Password | undefined;
      /** Most connections. Default: 3. */
      maxConnections?: number;
      /** Set to true if the URL goes through a transaction pooler. */
      isPooled?: boolean;
    }
  | {
      /** An open database of the application. close() leaves it open. */
      database: Database;
    }
);

/** The values of these are checked where they are used. */
export const enqueueOptions: OptionKinds<EnqueueOptions> = {
  delay: "any",
  runAt: "any",
  priority: "any",
  queue: "any",
  maxAttempts: "any",
  key: "any",
  uniqueKey: "any",
};
export const requestOptions: OptionKinds<JobRequest> = { job: "any", payload: "any", options: "object" };
export const fromOptions: OptionKinds<EnqueueFromOptions> = { batchSize: "any" };

/** Beside those that name the database. */
const producerOptions = { maxDepth: "any", cipher: "cipher" } as const;

/**
 * Throws InvalidOptionsError with everything that is wrong with the options of createProducer().
 */
export function checkProducerOptions(options: ProducerOptions): void {
  const issues = databaseChoiceIssues("createProducer", options, producerOptions);
  if (issues.length > 0) throw new InvalidOptionsError("createProducer", issues);
}
