import { InvalidOptionsError, type Issue, type Logger, type Password, type PayloadCipher } from "@hark/core";
import { connectionStringIssue } from "@hark/core/internal";
import { z } from "zod";
import { shown, tryCheck, wholeNumber } from "./check.ts";
import { defaults, ranges } from "./defaults.ts";
import { type VariableName, variables } from "./environment.ts";

/** Options that JobManager and PostgresQueue share. Times are in ms. */
export interface SharedOptions {
  /** The URL of the database. Default: `DATABASE_URL`. */
  connectionString?: string | undefined;
  /** Called for each new connection, for passwords that change. The URLs then need none. */
  password?: Password | undefined;
  /**
   * A direct URL to PostgreSQL for LISTEN, needed if connectionString goes through a transaction
   * pooler. Default: `HARK_LISTEN_URL` if the database is that of `DATABASE_URL`.
   */
  listenUrl?: string | undefined;
  /**
   * How long a lock of acquireLock() lasts if the call says nothing else. Default:
   * `JOB_MANAGER_LOCK_TTL`, or 600,000. It has no influence on how soon a dead process's jobs run
   * again: see `lease`.
   */
  lockTTL?: number | undefined;
  /**
   * How long this process may lose contact with the database before others take over its jobs. The
   * lease is renewed all the time, so jobs may run much longer. Default: `JOB_MANAGER_LEASE`, or
   * 10,000. At least 1,000.
   */
  lease?: number | undefined;
  /**
   * Longest delay of a ready job if a notification is lost. Default: `JOB_MANAGER_POLL_INTERVAL`,
   * or 1,000.
   */
  pollInterval?: number | undefined;
  /**
   * Most attempts of the jobs added here, the first included. Default: `SCRAPER_RETRY_ATTEMPTS`, or
   * 3.
   */
  retryAttempts?: number | undefined;
  /**
   * Brings the database's schema up to date before the first use. With false, a database without
   * the schema is refused with SchemaVersionError. Default: true.
   */
  migrate?: boolean | undefined;
  /** A label for people. Default: host and process id. */
  name?: string | undefined;
  /**
   * Encrypts the payloads of jobs added here, and decrypts those of jobs run here. A job whose
   * payload cannot be decrypted becomes a dead letter.
   */
  cipher?: PayloadCipher | undefined;
  /** Receives log lines. Default: JSON lines on stderr, by pino, from the level `LOG_LEVEL` on. */
  logger?: Logger | undefined;
}

const isConnectionString = (value: string, { addIssue }: { addIssue: (message: string) => void }): void => {
  const issue = connectionStringIssue(value);
  if (issue !== undefined) addIssue(issue);
};

const isFunction = (value: object, name: string) => typeof (value as Record<string, unknown>)[name] === "function";

export const sharedOptions = {
  connectionString: z
    .string({
      error: ({ input }) =>
        input === undefined
          ? "is missing: give the URL of the database, or set DATABASE_URL"
          : "must be a PostgreSQL URL: postgres://user:password@host:5432/database",
    })
    .superRefine(isConnectionString),
  password: z.custom<Password>((value) => typeof value === "function", { error: "must be a function" }).optional(),
  listenUrl: z.string({ error: "must be a PostgreSQL URL" }).superRefine(isConnectionString).optional(),
  lockTTL: wholeNumber(...ranges.lockTTL).default(defaults.lockTTL),
  lease: wholeNumber(...ranges.lease).default(defaults.lease),
  pollInterval: wholeNumber(...ranges.pollInterval).default(defaults.pollInterval),
  retryAttempts: wholeNumber(...ranges.retryAttempts).default(defaults.retryAttempts),
  migrate: z.boolean({ error: "must be true or false" }).default(true),
  name: z
    .string({ error: "must be text" })
    .regex(/^\P{C}{1,200}$/u, { error: "must have 1 to 200 characters, and no control characters" })
    .optional(),
  cipher: z
    .custom<PayloadCipher>(
      (value) =>
        typeof value === "object" && value !== null && ["seal", "open"].every((name) => isFunction(value, name)),
      { error: "must be made by createPayloadCipher()" },
    )
    .optional(),
  logger: z
    .custom<Logger>(
      (value) =>
        typeof value === "object" &&
        value !== null &&
        ["debug", "info", "warn", "error", "child"].every((name) => isFunction(value, name)),
      {
        error: "must have the methods debug, info, warn, error and child, as a pino logger has",
      },
    )
    .optional(),
};

/** The environment variable that counts while an option is not given. */
export const variableOf = {
  connectionString: "DATABASE_URL",
  listenUrl: "HARK_LISTEN_URL",
  concurrency: "SCRAPER_CONCURRENT_JOBS",
  retryAttempts: "SCRAPER_RETRY_ATTEMPTS",
  requestDelay: "SCRAPER_REQUEST_DELAY",
  lockTTL: "JOB_MANAGER_LOCK_TTL",
  lease: "JOB_MANAGER_LEASE",
  pollInterval: "JOB_MANAGER_POLL_INTERVAL",
  delayedJobsInterval: "JOB_MANAGER_DELAYED_INTERVAL",
} as const satisfies Record<string, VariableName>;

/**
 * Returns the settings of `what`: options as given, else from the environment, else the defaults.
 * Variables whose option is given are not read.
 * @throws InvalidOptionsError with every wrong option and variable
 */
export function settingsOf<Schema extends z.ZodObject>(
  what: string,
  schema: Schema,
  options: object,
  env: Readonly<Record<string, string | undefined>> = process.env,
): z.output<Schema> {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new InvalidOptionsError(what, [
      { path: [], message: `must be an object with options, not ${shown(options)}` },
    ]);
  const given: Record<string, unknown> = { ...options };
  // HARK_LISTEN_URL belongs to DATABASE_URL. With another database, it would name the wrong server.
  if (given.connectionString !== undefined) given.listenUrl ??= given.connectionString;
  const wrongVariables: Issue[] = [];
  for (const [name, variable] of Object.entries(variableOf)) {
    const text = env[variable] || undefined; // an empty one counts as not set
    if (!(name in schema.shape) || given[name] !== undefined || text === undefined) continue;
    const read = variables.shape[variable].safeParse(text);
    given[name] = read.data;
    if (!read.success) wrongVariables.push(...read.error.issues.map(({ message }) => ({ path: [variable], message })));
  }
  const { data, issues } = tryCheck(schema, given);
  const named = new Set<unknown>(wrongVariables.map(({ path }) => path[0]));
  const wrong = issues.filter(({ path }) => !named.has(variableOf[path[0] as keyof typeof variableOf]));
  if (data === undefined || wrongVariables.length > 0)
    throw new InvalidOptionsError(what, [...wrongVariables, ...wrong]);
  return data;
}
