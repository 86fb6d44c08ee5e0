import { InvalidOptionsError } from "@hark/core";
import { expect, test } from "vitest";
import { managerSettings } from "./job-manager-options.ts";
import { queueSettings } from "./queue/queue-options.ts";
import { settingsOf } from "./settings.ts";

const DATABASE_URL = "postgres://me@db.example/shop";

const settings = (options: object, env: Record<string, string | undefined>) =>
  settingsOf("JobManager", managerSettings, options, env);

function refusal(options: object, env: Record<string, string | undefined>): InvalidOptionsError {
  try {
    settings(options, env);
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error;
  }
  throw new Error("the settings were not refused");
}

test("the database is that of DATABASE_URL, and everything else has a default", () => {
  expect(settings({}, { DATABASE_URL })).toEqual({
    connectionString: DATABASE_URL,
    concurrency: 3,
    retryAttempts: 3,
    requestDelay: 1_000,
    lockTTL: 600_000,
    lease: 10_000,
    pollInterval: 1_000,
    delayedJobsInterval: 30_000,
    drainTimeout: 25_000,
    migrate: true,
  });
});

test("every variable counts while its option is not given", () => {
  const env = {
    DATABASE_URL,
    HARK_LISTEN_URL: "postgres://direct.example/shop",
    SCRAPER_CONCURRENT_JOBS: "4",
    SCRAPER_RETRY_ATTEMPTS: "5",
    SCRAPER_REQUEST_DELAY: "0",
    JOB_MANAGER_LOCK_TTL: "7000",
    JOB_MANAGER_LEASE: "8000",
    JOB_MANAGER_POLL_INTERVAL: "900",
    JOB_MANAGER_DELAYED_INTERVAL: "1000",
  };
  const read = {
    listenUrl: "postgres://direct.example/shop",
    concurrency: 4,
    retryAttempts: 5,
    requestDelay: 0,
    lockTTL: 7_000,
    lease: 8_000,
    pollInterval: 900,
    delayedJobsInterval: 1_000,
  };
  expect(settings({}, env)).toMatchObject(read);
  expect(settings({ concurrency: undefined, lockTTL: 60_000, retryAttempts: 1 }, env)).toMatchObject({
    ...read,
    lockTTL: 60_000,
    retryAttempts: 1,
  });
  expect(settingsOf("PostgresQueue", queueSettings, {}, env)).toMatchObject({ lockTTL: 7_000, lease: 8_000 });
});

test("the listen URL of the environment is not used with another database", () => {
  const env = { DATABASE_URL, HARK_LISTEN_URL: "postgres://direct.example/shop" };

  expect(settings({ connectionString: "postgres://other.example/shop" }, env).listenUrl).toBe(
    "postgres://other.example/shop",
  );
});

test("an empty variable counts as not set, and a wrong one only if its option is not given", () => {
  expect(settings({}, { DATABASE_URL, SCRAPER_CONCURRENT_JOBS: "" }).concurrency).toBe(3);
  expect(settings({ concurrency: 2 }, { DATABASE_URL, SCRAPER_CONCURRENT_JOBS: "many" }).concurrency).toBe(2);
});

test("one error names wrong options and wrong variables, and how to give a missing database", () => {
  const env = { SCRAPER_CONCURRENT_JOBS: "many", JOB_MANAGER_LOCK_TTL: "1h", PORT: "wrong" };
  const { issues, message } = refusal({ pollInterval: 1, lockTtl: 5 }, env);

  expect(issues.map(({ path }) => path[0])).toEqual([
    "SCRAPER_CONCURRENT_JOBS",
    "JOB_MANAGER_LOCK_TTL",
    "connectionString",
    "pollInterval",
    "lockTtl",
  ]);
  expect(message).toContain("connectionString: is missing: give the URL of the database, or set DATABASE_URL");
  expect(refusal({}, { DATABASE_URL: "mysql://me:s3cret@db/x" }).message).not.toContain("s3cret");
});
