import { hostname } from "node:os";
import {
  createLogger,
  type Duration,
  InvalidOptionsError,
  type Issue,
  type Logger,
  type PayloadCipher,
} from "@hark/core";
import { checkName, parseDuration, redactingLogger } from "@hark/core/internal";
import type { Schedule } from "./cron/schedule.ts";
import type { Handler } from "./run/implement.ts";

export interface WorkerOptions {
  /** The URL of the database. */
  connectionString: string;
  /**
   * For LISTEN, a URL straight to PostgreSQL where connectionString leads through a transaction
   * pooler (HARK_LISTEN_URL).
   */
  listenUrl?: string | undefined;
  /**
   * connectionString leads through a transaction pooler. Taken to be so where listenUrl differs
   * from it, and found out anyway.
   */
  isPooled?: boolean;
  /** One for each job type it runs: see implement(). */
  handlers: readonly Handler[];
  /**
   * Jobs that may run at once: a number for every queue of the handlers' job types, or numbers by
   * queue. Then only the queues named are worked, unless "*" stands for the others. 10 for every
   * queue if not given.
   */
  queues?: number | Record<string, number>;
  /**
   * Recurring jobs, made by schedule(). Declared when the worker starts, which changes those of the
   * same name; fired, once for all workers, as long as one that declares them runs.
   */
  schedules?: readonly Schedule[];
  /** A label for people; host and process id if not given. */
  name?: string;
  /** Where log lines go; JSON lines on stderr, by pino, if not given. */
  logger?: Logger;
  /** How long the process may be out of touch before others take its jobs: 10 s if not given. */
  lease?: Duration;
  /** What a lost notification costs a ready job at most: 5 s if not given. */
  pollInterval?: Duration;
  /** What a lost notification costs a scheduled job at most: 5 s if not given, and not more. */
  promoteInterval?: Duration;
  /**
   * How long stop() waits for running jobs before it aborts them: 25 s, under Kubernetes' 30, if
   * not given.
   */
  drainTimeout?: Duration;
  /**
   * How long aborted handlers have to end before their jobs are handed back without them: 5 s if
   * not given.
   */
  abortTimeout?: Duration;
  /**
   * Days that finished jobs are kept, at most 1,000,000: 7 if not given. Dead letters stay until
   * they are requeued.
   */
  keepDays?: number;
  /**
   * Opens payloads that a producer has sealed. A payload that it cannot open makes a dead letter of
   * its job.
   */
  cipher?: PayloadCipher;
}

/** Everything a worker needs, checked, in the units it counts in. */
export interface WorkerSettings {
  readonly connectionString: string;
  readonly listenUrl: string;
  /** No session state on connectionString: it leads through a pooler. */
  readonly isPooled: boolean;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly concurrency: ReadonlyMap<string, number>;
  /** Whether jobs may be claimed before their slot is free. */
  readonly isPrefetching: boolean;
  readonly schedules: readonly Schedule[];
  readonly name: string;
  readonly logger: Logger;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly promoteMs: number;
  readonly drainMs: number;
  readonly abortMs: number;
  readonly keepDays: number;
  readonly cipher: PayloadCipher | undefined;
}

/** Least lease, in ms: below it, a pause of the garbage collector or the disk costs jobs. */
const leastLeaseMs = 1_000;

/**
 * What hark.drop_partitions takes at most, in days: for ever. PostgreSQL has dates for the last 2.4
 * million.
 */
const mostKeepDays = 1_000_000;

/**
 * Checks all options together; throws {@link InvalidOptionsError} with everything that is wrong.
 */
export function parseOptions(options: WorkerOptions): WorkerSettings {
  const issues: Issue[] = [];
  const attempt = <Value>(parse: () => Value, otherwise: Value): Value => {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof InvalidOptionsError)) throw error;
      issues.push(...error.issues.map(({ path, message }) => ({ path: [String(error.facts.what), ...path], message })));
      return otherwise;
    }
  };
  const duration = (field: string, value: Duration | undefined, otherwiseMs: number, leastMs: number): number => {
    const ms = attempt(() => (value === undefined ? otherwiseMs : parseDuration(field, value)), otherwiseMs);
    if (ms < leastMs) issues.push({ path: [field], message: `must be at least ${leastMs} ms, not ${ms}` });
    return ms;
  };

  const handlers = new Map<string, Handler>();
  for (const handler of options.handlers) {
    const { type } = handler.job;
    if (handlers.has(type)) issues.push({ path: ["handlers"], message: `two handlers for ${type}` });
    handlers.set(type, handler);
  }
  if (handlers.size === 0)
    issues.push({ path: ["handlers"], message: "is empty: a worker without handlers would run nothing" });
  const { schedules = [] } = options;
  const names = schedules.map(({ name }) => name);
  for (const name of new Set(names.filter((each, place) => names.indexOf(each) !== place)))
    issues.push({ path: ["schedules"], message: `two schedules named ${name}: give them names` });
  if (!options.connectionString) issues.push({ path: ["connectionString"], message: "is missing" });
  const { keepDays = 7 } = options;
  if (!Number.isInteger(keepDays) || keepDays < 1 || keepDays > mostKeepDays)
    issues.push({ path: ["keepDays"], message: `must be a whole number from 1 to ${mostKeepDays}` });

  const settings: WorkerSettings = {
    connectionString: options.connectionString,
    listenUrl: options.listenUrl ?? options.connectionString,
    isPooled: options.isPooled ?? (options.listenUrl !== undefined && options.listenUrl !== options.connectionString),
    handlers,
    concurrency: concurrencyByQueue(handlers, options.queues ?? 10, issues),
    isPrefetching: true,
    schedules,
    name: options.name ?? `${hostname()}:${process.pid}`,
    logger: redactingLogger(options.logger ?? createLogger()),
    leaseMs: duration("lease", options.lease, 10_000, leastLeaseMs),
    pollMs: duration("pollInterval", options.pollInterval, 5_000, 100),
    promoteMs: duration("promoteInterval", options.promoteInterval, 5_000, 100),
    drainMs: duration("drainTimeout", options.drainTimeout, 25_000, 0),
    abortMs: duration("abortTimeout", options.abortTimeout, 5_000, 0),
    keepDays,
    cipher: options.cipher,
  };
  if (issues.length) throw new InvalidOptionsError("createWorker", issues);
  return settings;
}

/** The queues to work, each with how many of its jobs may run at once. */
function concurrencyByQueue(
  handlers: ReadonlyMap<string, Handler>,
  queues: number | Record<string, number>,
  issues: Issue[],
): Map<string, number> {
  const named = typeof queues === "number" ? { "*": queues } : queues;
  const concurrency = new Map<string, number>();
  const others = named["*"];
  if (others !== undefined) for (const { job } of handlers.values()) concurrency.set(job.queue, others);
  for (const [queue, limit] of Object.entries(named)) {
    if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
      issues.push({ path: ["queues", queue], message: `must be an integer from 1 to 10000, not ${limit}` });
    }
    if (queue !== "*") concurrency.set(checkName("queue", queue), limit);
  }
  if (concurrency.size === 0)
    issues.push({ path: ["queues"], message: "names no queue: a worker without one would run nothing" });
  return concurrency;
}
