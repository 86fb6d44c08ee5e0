/** The payload of a benchmark job: its number and, where a scenario needs them, more fields. */
export interface Payload {
  /** Counted from 0: the index of the job in the tally. */
  readonly n: number;
  /** When it was due to start, in ms of the machine's monotonic clock. */
  readonly at?: number;
  /** How long its handler takes, in ms; no time if not given. */
  readonly ms?: number;
  /** Makes the payload larger. */
  readonly pad?: string;
  /** Jobs with one key must not run at the same time. */
  readonly key?: string;
  /**
   * Whether its handler yields to the event loop once. Handlers of several jobs then run at the
   * same time, and the worker process sees it if two of them have one key.
   */
  readonly yields?: boolean;
}

/** Called once for each attempt of a job. Returns a promise only if the job takes time. */
export type Handle = (payload: Payload) => Promise<void> | void;

/** What a worker's owner knows about its jobs, and may tune the worker for. */
export interface Workload {
  /** How many keys the jobs have; not given if they have none. */
  readonly keys?: number;
  /**
   * Queues that each worker serves; 1 if not given. Jobs go to the first of them, and the others
   * stay empty.
   */
  readonly queues?: number;
}

export interface BenchProducer {
  /** Resolves when the job is as durable as the adapter's store makes it. */
  enqueue(payload: Payload): Promise<unknown>;
  /**
   * Enqueues a job that is due at a moment, in epoch ms. Missing where the adapter has no delayed
   * jobs.
   */
  readonly enqueueAt?: (payload: Payload, runAtMs: number) => Promise<unknown>;
  /** Enqueues all of them in one call. */
  enqueueMany(payloads: readonly Payload[]): Promise<unknown>;
  /** Whether no job waits or runs any more: every handled job is also recorded as completed. */
  isEmpty(): Promise<boolean>;
  close(): Promise<void>;
}

export interface BenchClaimer {
  /** Claims up to `limit` ready jobs and never settles them. Returns how many it got. */
  claim(limit: number): Promise<number>;
  close(): Promise<void>;
}

export interface AdapterSql {
  /** Inserts a job that no worker handles. */
  readonly insertOther?: string;
  /**
   * Inserts one job with the payload $1 in a statement of its own, as an application in another
   * language would.
   */
  readonly insert?: string;
  /** Like insert, with the key $2. */
  readonly insertKeyed?: string;
  /** Turns the notifications of inserts off and on again. */
  readonly disableTriggers?: string;
  readonly enableTriggers?: string;
  /** Inserts $1 ready jobs at once. */
  readonly fill?: string;
  /** The same with jobs of a type that no worker runs. */
  readonly fillOther?: string;
  /** A pattern (LIKE) that matches the claim statements as pg_stat_statements shows them. */
  readonly claims?: string;
  /**
   * Selects the claimed and unfinished jobs: number `n` and moment of the claim `at`, in epoch ms.
   */
  readonly claimed?: string;
  /**
   * A pattern (LIKE) that matches the statements that only ask whether there is anything to claim,
   * if there are any.
   */
  readonly questions?: string;
}

/** Stages of a job's life, by what statements do for it. Some statements do two of them at once. */
export const stages = ["enqueue", "claim", "settle", "settle and claim in one"] as const;
export type Stage = (typeof stages)[number];

/**
 * One job queue under one set of options. All adapters get the same calls, and none knows which
 * scenario runs.
 */
export interface Adapter {
  readonly name: string;
  readonly store: "postgresql" | "redis";
  /** Runs with the package's defaults, where another adapter shows the package tuned. */
  readonly isDefault?: boolean;
  /** So much slower than the others that it is left out where it would only take time. */
  readonly isSlow?: boolean;
  /** Not a queue: shows the most that the database can do. */
  readonly isCeiling?: boolean;
  /** Enqueues jobs without their keys: shows what keys cost. */
  readonly ignoresKeys?: boolean;
  /** The options that differ from the package's defaults, in words, for the results. */
  readonly options: string;
  /** Jobs that one worker runs at once. */
  readonly slots?: number;
  /** The package whose version the results show. Not given for this repository's own. */
  readonly packageName?: string;
  /** What scenarios do through plain SQL instead of the package's own API. */
  readonly sql?: AdapterSql;
  /**
   * The stage that a statement belongs to. The statement is in lower case with white space folded,
   * as pg_stat_statements shows it.
   */
  readonly stageOf?: (statement: string) => Stage | undefined;
  /** Whether it has delayed jobs: if so, its producers have enqueueAt(). */
  readonly hasDelay: boolean;
  /** Claims jobs without a worker, to measure a claim by the depth of the backlog. */
  readonly openClaimer?: (url: string) => Promise<BenchClaimer>;
  /** Creates the schema in a fresh database. */
  prepare(url: string): Promise<void>;
  openProducer(url: string): Promise<BenchProducer>;
  /** Whether startWorker() can serve more than one queue. */
  readonly hasManyQueues?: boolean;
  /** Resolves when the worker takes jobs. It runs until its process is killed. */
  startWorker(url: string, handle: Handle, workload?: Workload): Promise<void>;
}

/** Handles a batch concurrently. Waits only for jobs that take time. */
export async function handleAll(payloads: readonly Payload[], handle: Handle): Promise<void> {
  const pending: Promise<void>[] = [];
  for (const payload of payloads) {
    const work = handle(payload);
    if (work) pending.push(work);
  }
  await Promise.all(pending);
}
