/** What a job of the benchmark carries: its number and, where a scenario asks for it, more. */
export interface Payload {
  /** Counted from 0: the place of the job in the tally. */
  readonly n: number;
  /** When it was due to start, in ms of the machine's monotonic clock. */
  readonly at?: number;
  /** How long its handler takes, in ms; nothing if not given. */
  readonly ms?: number;
  /** Makes the payload larger. */
  readonly pad?: string;
}

/** Called once for each attempt of a job. Returns a promise only if the job takes time. */
export type Handle = (payload: Payload) => Promise<void> | void;

export interface BenchProducer {
  /** Resolves when the job is durable, as far as the adapter's store knows durability. */
  enqueue(payload: Payload): Promise<unknown>;
  /** Enqueues a job that shall start at a moment, in epoch ms. Missing where the adapter knows no such jobs. */
  readonly enqueueAt?: (payload: Payload, runAtMs: number) => Promise<unknown>;
  /** One call for all of them. */
  enqueueMany(payloads: readonly Payload[]): Promise<unknown>;
  /** Whether no job waits or runs any more: what is handled is also written down as completed. */
  isEmpty(): Promise<boolean>;
  close(): Promise<void>;
}

export interface BenchClaimer {
  /** Claims up to `limit` ready jobs for good. Answers how many it got. */
  claim(limit: number): Promise<number>;
  close(): Promise<void>;
}

export interface AdapterSql {
  /** Inserts a job that no worker handles. */
  readonly insertOther?: string;
  /** Inserts one job with the payload $1 in a statement of its own: what an application in another language would do. */
  readonly insert?: string;
  /** Stops and restarts the wake-ups of inserts. */
  readonly disableTriggers?: string;
  readonly enableTriggers?: string;
  /** Inserts $1 ready jobs at once. */
  readonly fill?: string;
  /** A pattern (LIKE) of the statements that claim, as pg_stat_statements shows them. */
  readonly claims?: string;
  /** The claimed and unfinished jobs: number `n` and moment of the claim `at`, in epoch ms. */
  readonly claimed?: string;
  /** A pattern of those that only ask whether there is anything to claim, if there are such. */
  readonly questions?: string;
}

/** Parts of a job's life, by what the statements do for it; some do two of them at once. */
export const stages = ["enqueue", "claim", "settle", "settle and claim in one"] as const;
export type Stage = (typeof stages)[number];

/** One job queue under one set of options. All adapters get the same orders, and none knows the scenario. */
export interface Adapter {
  readonly name: string;
  readonly store: "postgresql" | "redis";
  /** The package as it comes, where another adapter shows it at its best. */
  readonly isDefault?: boolean;
  /** So far behind the others that it is left out where it would only take time. */
  readonly isSlow?: boolean;
  /** No queue, but what the database can do at most. */
  readonly isCeiling?: boolean;
  /** The options that differ from the package's defaults, in words, for the results. */
  readonly options: string;
  /** Jobs that one worker runs at once. */
  readonly slots?: number;
  /** The package whose version stands in the results, unless it is ours. */
  readonly packageName?: string;
  /** What scenarios do beside the package's own API, as plain SQL. */
  readonly sql?: AdapterSql;
  /** What a statement of its own does for a job: in lower case, white space folded, as pg_stat_statements shows it. */
  readonly stageOf?: (statement: string) => Stage | undefined;
  /** Knows jobs that start later: its producers have enqueueAt(). */
  readonly hasDelay: boolean;
  /** Claims jobs outside of a worker, for the depth of the backlog. */
  readonly openClaimer?: (url: string) => Promise<BenchClaimer>;
  /** Makes the schema in a fresh database. */
  prepare(url: string): Promise<void>;
  openProducer(url: string): Promise<BenchProducer>;
  /** Resolves when the worker takes jobs. It runs until its process is killed. */
  startWorker(url: string, handle: Handle): Promise<void>;
}

/** Handles a batch side by side; waits only for those that take time. */
export async function handleAll(payloads: readonly Payload[], handle: Handle): Promise<void> {
  const pending: Promise<void>[] = [];
  for (const payload of payloads) {
    const work = handle(payload);
    if (work) pending.push(work);
  }
  await Promise.all(pending);
}
