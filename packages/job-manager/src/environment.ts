import { InvalidOptionsError } from "@hark/core";
import { type LogLevel, logLevelOf, maskUrl } from "@hark/core/internal";
import { z } from "zod";
import { shown } from "./check.ts";
import { defaults, ranges } from "./defaults.ts";

/** The settings of a Hark process, from its environment variables. All times are in ms. */
export interface Environment {
  /** DATABASE_URL: the URL of the database. */
  readonly databaseUrl: string;
  /**
   * HARK_LISTEN_URL: a direct URL for LISTEN, needed if DATABASE_URL goes through a transaction
   * pooler.
   */
  readonly listenUrl: string | undefined;
  /** SCRAPER_CONCURRENT_JOBS: jobs that run at the same time in a process. */
  readonly concurrency: number;
  /** SCRAPER_RETRY_ATTEMPTS: most attempts of a job, the first included. */
  readonly retryAttempts: number;
  /**
   * SCRAPER_REQUEST_DELAY: the time between the starts of two jobs of one host, over all processes,
   * in ms.
   */
  readonly requestDelayMs: number;
  /** JOB_MANAGER_LOCK_TTL: how long a lock of acquireLock() lasts, in ms. */
  readonly lockTtlMs: number;
  /**
   * JOB_MANAGER_LEASE: how long a process may lose contact with the database before others take
   * over its jobs, in ms.
   */
  readonly leaseMs: number;
  /** JOB_MANAGER_POLL_INTERVAL: longest delay of a ready job if a notification is lost, in ms. */
  readonly pollIntervalMs: number;
  /**
   * JOB_MANAGER_DELAYED_INTERVAL: longest delay of a scheduled job if a notification is lost, in
   * ms.
   */
  readonly delayedIntervalMs: number;
  /**
   * LOG_LEVEL: the least severe level that is logged: fatal, error, warn, info, debug, trace or
   * silent.
   */
  readonly logLevel: LogLevel;
  /** PORT: the port of the HTTP API. */
  readonly port: number;
  /**
   * HARK_API_TOKEN: the bearer token of the HTTP API. Without one, the API serves this machine
   * only.
   */
  readonly apiToken: string | undefined;
  /** Where each variable's value came from. */
  readonly sources: Readonly<Record<VariableName, "environment" | "default">>;
}

/** The variables as text, and how each is read. */
export const variables = z.object({
  DATABASE_URL: postgresUrl(),
  HARK_LISTEN_URL: postgresUrl().optional(),
  SCRAPER_CONCURRENT_JOBS: whole(...ranges.concurrency).default(defaults.concurrency),
  SCRAPER_RETRY_ATTEMPTS: whole(...ranges.retryAttempts).default(defaults.retryAttempts),
  SCRAPER_REQUEST_DELAY: whole(...ranges.requestDelay).default(defaults.requestDelay),
  JOB_MANAGER_LOCK_TTL: whole(...ranges.lockTTL).default(defaults.lockTTL),
  JOB_MANAGER_LEASE: whole(...ranges.lease).default(defaults.lease),
  JOB_MANAGER_POLL_INTERVAL: whole(...ranges.pollInterval).default(defaults.pollInterval),
  JOB_MANAGER_DELAYED_INTERVAL: whole(...ranges.delayedJobsInterval).default(defaults.delayedJobsInterval),
  LOG_LEVEL: z.string().optional().transform(logLevelOf),
  PORT: whole(0, 65_535, "0 picks a free port").default(3_000),
  // The same rule as checkCredentials() in the server: characters that a header can hold.
  HARK_API_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, { error: "must be visible ASCII characters without spaces" })
    .optional(),
});

export type VariableName = keyof (typeof variables)["shape"];
const names = Object.keys(variables.shape) as VariableName[];

/**
 * Reads and checks all variables together. An empty one counts as not set.
 * @throws InvalidOptionsError that names each wrong variable and what it must be, never a secret's
 * value
 */
export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const given = Object.fromEntries(names.map((name) => [name, env[name] || undefined]));
  const checked = variables.safeParse(given);
  if (!checked.success) {
    throw new InvalidOptionsError(
      "The environment",
      checked.error.issues.map(({ path, message }) => ({ path: path.map(String), message })),
    );
  }
  const read = checked.data;
  return {
    databaseUrl: read.DATABASE_URL,
    listenUrl: read.HARK_LISTEN_URL,
    concurrency: read.SCRAPER_CONCURRENT_JOBS,
    retryAttempts: read.SCRAPER_RETRY_ATTEMPTS,
    requestDelayMs: read.SCRAPER_REQUEST_DELAY,
    lockTtlMs: read.JOB_MANAGER_LOCK_TTL,
    leaseMs: read.JOB_MANAGER_LEASE,
    pollIntervalMs: read.JOB_MANAGER_POLL_INTERVAL,
    delayedIntervalMs: read.JOB_MANAGER_DELAYED_INTERVAL,
    logLevel: read.LOG_LEVEL,
    port: read.PORT,
    apiToken: read.HARK_API_TOKEN,
    sources: Object.fromEntries(
      names.map((name) => [name, given[name] === undefined ? "default" : "environment"]),
    ) as Environment["sources"],
  };
}

/** Returns a line for each variable, with its effective value and its source. Masks secrets. */
export function describeEnvironment(environment: Environment): string[] {
  const values: Record<VariableName, string | number> = {
    DATABASE_URL: maskUrl(environment.databaseUrl),
    HARK_LISTEN_URL: environment.listenUrl === undefined ? "same as DATABASE_URL" : maskUrl(environment.listenUrl),
    SCRAPER_CONCURRENT_JOBS: environment.concurrency,
    SCRAPER_RETRY_ATTEMPTS: environment.retryAttempts,
    SCRAPER_REQUEST_DELAY: `${environment.requestDelayMs} ms`,
    JOB_MANAGER_LOCK_TTL: `${environment.lockTtlMs} ms`,
    JOB_MANAGER_LEASE: `${environment.leaseMs} ms`,
    JOB_MANAGER_POLL_INTERVAL: `${environment.pollIntervalMs} ms`,
    JOB_MANAGER_DELAYED_INTERVAL: `${environment.delayedIntervalMs} ms`,
    LOG_LEVEL: environment.logLevel,
    PORT: environment.port,
    HARK_API_TOKEN: environment.apiToken === undefined ? "none" : "***",
  };
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)}  ${values[name]}  (${environment.sources[name]})`);
}

function whole(least: number, most: number, unit: string) {
  return z
    .string()
    .refine((text) => /^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most, {
      error: ({ input }) => `must be a whole number from ${least} to ${most} (${unit}), not ${shown(input)}`,
    })
    .transform(Number);
}

/** Its messages never repeat the value, which may hold a password. */
function postgresUrl() {
  const wanted = "must be a PostgreSQL URL: postgres://user:password@host:5432/database";
  return z
    .string({ error: `is not set: it ${wanted}` })
    .refine((text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text), { error: wanted, abort: true })
    .refine((text) => !isTorn(new URL(text)), {
      error: `${wanted}. Write "#", "/", "?" and "@" in a password as %23, %2F, %3F and %40`,
    });
}

/**
 * Returns true if a raw "#", "/" or "?" in a password ended the authority part too early. The rest
 * of the password would then be logged, because it would not look like one.
 */
function isTorn({ username, pathname, search, hash }: URL): boolean {
  return hash !== "" || (username === "" && `${pathname}${search}`.includes("@"));
}
