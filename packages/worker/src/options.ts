import { hostname } from "node:os";
import {
  createLogger,
  type Duration,
  InvalidOptionsError,
  type Issue,
  type Logger,
  type Password,
  type PayloadCipher,
  silentLogger,
} from "@hark/core";
import {
  checkName,
  connectionStringIssue,
  isHarkError,
  messageOf,
  parseDuration,
  optionIssues,
  type OptionKinds,
  quote,
  redactingLogger,
} from "@hark/core/internal";
import { handlersByType } from "./check-handlers.ts";
import type { Schedule } from "./cron/schedule.ts";
import { elsewhere, workerOptions } from "./known-options.ts";
import type { Handler } from "./run/implement.ts";

export interface WorkerOptions {
  /** The URL of the database. */
  connectionString: string;
  /**
   * Called for each new connection, for passwords that change, such as tokens of a cloud. The URLs
   * then need none.
   */
  password?: Password | undefined;
  /**
   * A direct URL to PostgreSQL for LISTEN (HARK_LISTEN_URL), needed if connectionString goes
   * through a transaction pooler.
   */
  listenUrl?: string | undefined;
  /**
   * True if connectionString goes through a transaction pooler. Assumed if listenUrl differs from
   * it, and detected otherwise.
   */
  isPooled?: boolean;
  /** One handler for each job type that the worker runs. See implement(). */
  handlers: readonly Handler[];
  /**
   * Jobs that may run at the same time: one number for every queue of the handlers' job types, or
   * numbers by queue. With numbers by queue, only the named queues are served, and "*" stands for
   * all others. Default: 10 for every queue. A worker serves at most 1,000 queues.
   */
  queues?: number | Record<string, number>;
  /**
   * Recurring jobs, made by schedule(). The worker declares them when it starts, and replaces those
   * of the same name. Each tick is fired once for all workers, as long as a worker that declares
   * the schedule runs.
   */
  schedules?: readonly Schedule[];
  /** A label for people. Default: host and process id. */
  name?: string;
  /** Receives log lines. Default: JSON lines on stderr, by pino. */
  logger?: Logger;
  /**
   * How long the process may lose contact with the database before others take over its jobs.
   * Default: 10 s.
   */
  lease?: Duration;
  /** Longest delay of a ready job if a notification is lost. Default: 5 s. */
  pollInterval?: Duration;
  /**
   * Longest delay of a scheduled job if a notification is lost. Default: 5 s. What is longer than
   * 30 s counts as that.
   */
  promoteInterval?: Duration;
  /**
   * How long stop() waits for running jobs before it aborts them. Default: 25 s, below Kubernetes'
   * 30 s.
   */
  drainTimeout?: Duration;
  /**
   * How long stop() waits for aborted handlers before it hands back their jobs. Default: 2 s. With
   * both defaults, a whole stop takes 29 s at most, whatever hangs.
   */
  abortTimeout?: Duration;
  /**
   * Days that finished jobs are kept, at most 1,000,000. Default: 7. Dead letters stay until they
   * are requeued or deleted.
   */
  keepDays?: number;
  /**
   * Decrypts payloads that a producer has encrypted. A job whose payload cannot be decrypted
   * becomes a dead letter.
   */
  cipher?: PayloadCipher;
}

/** All settings of a worker, checked, with every time in ms. */
export interface WorkerSettings {
  readonly connectionString: string;
  readonly password: Password | undefined;
  readonly listenUrl: string;
  /** True if connectionString goes through a pooler, so that no session state may be used. */
  readonly isPooled: boolean;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly concurrency: ReadonlyMap<string, number>;
  /** Whether jobs may be claimed before their slot is free. */
  readonly isPrefetching: boolean;
  /** A job that ran when workers died runs alone. False where callers run the jobs. */
  readonly isQuarantining: boolean;
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

/**
 * Least lease, in ms. With a shorter one, a pause of the garbage collector or the disk loses jobs.
 */
const leastLeaseMs = 1_000;

/**
 * The most days that hark.drop_partitions accepts. It means for ever. PostgreSQL has dates for the
 * last 2.4 million days.
 */
const mostKeepDays = 1_000_000;

/**
 * Most queues of one worker. While it sleeps it holds an advisory lock for each, and PostgreSQL's
 * lock table has room for some thousands: see docs/decisions/0030.
 */
const mostQueues = 1_000;

/** Longest label of a worker, in characters. It stands in a row, in log lines and in tables. */
const longestName = 200;

/** Issues with options that have a form of their own. */
function formIssues({ schedules, name }: WorkerOptions): Issue[] {
  const issues: Issue[] = [];
  const areSchedules = (all: readonly unknown[]) =>
    all.every((each) => typeof each === "object" && each !== null && "rule" in each && "job" in each && "name" in each);
  if (schedules !== undefined && !(Array.isArray(schedules) && areSchedules(schedules)))
    issues.push({ path: ["schedules"], message: "must be an array of what schedule(job, when) returns" });
  const isLabel = typeof name === "string" && name !== "" && name.length <= longestName && !/\p{Cc}|\p{Cs}/u.test(name);
  if (name !== undefined && !isLabel)
    issues.push({
      path: ["name"],
      message: `must be text of 1 to ${longestName} characters without control characters`,
    });
  return issues;
}

/** Checks all options together; throws {@link InvalidOptionsError} with every issue. */
export function parseOptions(options: WorkerOptions): WorkerSettings {
  const issues: Issue[] = [];
  const attempt = <Value>(parse: () => Value, otherwise: Value): Value => {
    try {
      return parse();
    } catch (error) {
      if (!isHarkError(error, "INVALID_OPTIONS")) throw error;
      const { issues: found, facts } = error as InvalidOptionsError;
      issues.push(...found.map(({ path, message }) => ({ path: [String(facts.what), ...path], message })));
      return otherwise;
    }
  };
  const duration = (field: string, value: Duration | undefined, otherwiseMs: number, leastMs: number): number => {
    const ms = attempt(() => (value === undefined ? otherwiseMs : parseDuration(field, value)), otherwiseMs);
    if (ms < leastMs) issues.push({ path: [field], message: `must be at least ${leastMs} ms, not ${ms}` });
    return ms;
  };

  if (typeof options !== "object" || options === null)
    throw new InvalidOptionsError("createWorker", [{ path: [], message: "takes an object with its options" }]);
  issues.push(
    ...optionIssues("createWorker", options, workerOptions satisfies OptionKinds<WorkerOptions>, elsewhere),
    ...formIssues(options),
  );
  const handlers = handlersByType(options.handlers, issues);
  const schedules = Array.isArray(options.schedules) ? options.schedules : [];
  const names = schedules.flatMap((each) => (each ? [each.name] : [])); // others are among the issues
  for (const name of new Set(names.filter((each, place) => names.indexOf(each) !== place)))
    issues.push({ path: ["schedules"], message: `there are two schedules named ${name}: give each its own name` });
  for (const path of ["connectionString", "listenUrl"] as const) {
    const issue =
      path === "listenUrl" && options[path] === undefined ? undefined : connectionStringIssue(options[path]);
    if (issue !== undefined) issues.push({ path: [path], message: issue });
  }
  const { keepDays = 7 } = options;
  if (!Number.isInteger(keepDays) || keepDays < 1 || keepDays > mostKeepDays)
    issues.push({ path: ["keepDays"], message: `must be a whole number from 1 to ${mostKeepDays}` });

  const settings: WorkerSettings = {
    connectionString: options.connectionString,
    password: options.password,
    listenUrl: options.listenUrl ?? options.connectionString,
    isPooled: options.isPooled ?? (options.listenUrl !== undefined && options.listenUrl !== options.connectionString),
    handlers,
    concurrency: concurrencyByQueue(handlers, options.queues === undefined ? 10 : options.queues, issues),
    isPrefetching: true,
    isQuarantining: true,
    schedules,
    name: options.name ?? `${hostname()}:${process.pid}`,
    logger: redactingLogger(issues.length > 0 ? silentLogger : (options.logger ?? createLogger())),
    leaseMs: duration("lease", options.lease, 10_000, leastLeaseMs),
    pollMs: duration("pollInterval", options.pollInterval, 5_000, 100),
    promoteMs: duration("promoteInterval", options.promoteInterval, 5_000, 100),
    drainMs: duration("drainTimeout", options.drainTimeout, 25_000, 0),
    abortMs: duration("abortTimeout", options.abortTimeout, 2_000, 0),
    keepDays,
    cipher: options.cipher,
  };
  if (issues.length) throw new InvalidOptionsError("createWorker", issues);
  return settings;
}

/** Returns the queues to serve, each with how many of its jobs may run at the same time. */
function concurrencyByQueue(
  handlers: ReadonlyMap<string, Handler>,
  queues: number | Record<string, number>,
  issues: Issue[],
): Map<string, number> {
  const isRecord = typeof queues === "object" && queues !== null && !Array.isArray(queues);
  if (typeof queues !== "number" && !isRecord)
    issues.push({ path: ["queues"], message: "must be a number, or numbers by queue such as { email: 10 }" });
  const named = isRecord ? queues : { "*": typeof queues === "number" ? queues : 1 };
  const concurrency = new Map<string, number>();
  const others = named["*"];
  if (others !== undefined) for (const { job } of handlers.values()) concurrency.set(job.queue, others);
  for (const [queue, limit] of Object.entries(named)) {
    if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
      issues.push({ path: ["queues", queue], message: `must be an integer from 1 to 10000, not ${quote(limit)}` });
    }
    try {
      if (queue !== "*") concurrency.set(checkName("queue", queue), limit);
    } catch (error) {
      issues.push({ path: ["queues"], message: messageOf(error) });
    }
  }
  if (concurrency.size > mostQueues)
    issues.push({
      path: ["queues"],
      message:
        `must be at most ${mostQueues}, not ${concurrency.size}: start several workers with some of the queues each, ` +
        `or let tenants share a queue`,
    });
  if (concurrency.size === 0)
    issues.push({ path: ["queues"], message: "names no queue: a worker without one would run nothing" });
  return concurrency;
}
