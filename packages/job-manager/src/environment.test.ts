import { InvalidOptionsError } from "@hark/core";
import { expect, test } from "vitest";
import { describeEnvironment, readEnvironment } from "./environment.ts";

const DATABASE_URL = "postgres://me:s3cret@db.example:5432/shop";

function refusal(env: Record<string, string | undefined>): InvalidOptionsError {
  try {
    readEnvironment(env);
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error;
  }
  throw new Error("the environment was not refused");
}

test("only DATABASE_URL is required", () => {
  const { sources, ...settings } = readEnvironment({ DATABASE_URL });

  expect(settings).toEqual({
    databaseUrl: DATABASE_URL,
    listenUrl: undefined,
    concurrency: 3,
    retryAttempts: 3,
    requestDelayMs: 1_000,
    lockTtlMs: 600_000,
    leaseMs: 10_000,
    pollIntervalMs: 1_000,
    delayedIntervalMs: 30_000,
    logLevel: "info",
    port: 3_000,
    apiToken: undefined,
  });
  expect(sources.DATABASE_URL).toBe("environment");
  expect(sources.PORT).toBe("default");
});

test("set variables override the defaults, and an empty one counts as not set", () => {
  const settings = readEnvironment({
    DATABASE_URL,
    HARK_LISTEN_URL: "postgresql://me@db.example/shop?host=/var/run",
    SCRAPER_CONCURRENT_JOBS: "4",
    SCRAPER_REQUEST_DELAY: "0",
    PORT: "",
    HARK_API_TOKEN: "",
    UNRELATED: "x",
  });

  expect(settings).toMatchObject({
    listenUrl: "postgresql://me@db.example/shop?host=/var/run",
    concurrency: 4,
    requestDelayMs: 0,
    port: 3_000,
    apiToken: undefined,
  });
  expect(settings.sources).toMatchObject({
    SCRAPER_REQUEST_DELAY: "environment",
    PORT: "default",
    HARK_API_TOKEN: "default",
  });
});

test("one error names every wrong variable and what it must be", () => {
  const { issues, message } = refusal({
    HARK_LISTEN_URL: "mysql://x",
    SCRAPER_CONCURRENT_JOBS: "0",
    SCRAPER_RETRY_ATTEMPTS: "three",
    SCRAPER_REQUEST_DELAY: "-1",
    JOB_MANAGER_LOCK_TTL: "10s",
    JOB_MANAGER_LEASE: "0",
    JOB_MANAGER_POLL_INTERVAL: "99",
    JOB_MANAGER_DELAYED_INTERVAL: "1e4",
    PORT: "65536",
    HARK_API_TOKEN: "two words",
  });

  expect(issues.map(({ path }) => path[0])).toEqual([
    "DATABASE_URL",
    "HARK_LISTEN_URL",
    "SCRAPER_CONCURRENT_JOBS",
    "SCRAPER_RETRY_ATTEMPTS",
    "SCRAPER_REQUEST_DELAY",
    "JOB_MANAGER_LOCK_TTL",
    "JOB_MANAGER_LEASE",
    "JOB_MANAGER_POLL_INTERVAL",
    "JOB_MANAGER_DELAYED_INTERVAL",
    "PORT",
    "HARK_API_TOKEN",
  ]);
  for (const { path } of issues) expect(message).toContain(String(path[0]));
  expect(message).toContain("DATABASE_URL: is not set: it must be a PostgreSQL URL");
  expect(message).toContain('SCRAPER_CONCURRENT_JOBS: must be a whole number from 1 to 10000 (jobs at once), not "0"');
});

test.each([
  ["without a scheme", "me:s3cret@db.example/shop"],
  ["of another database", "mysql://me:s3cret@db.example/shop"],
  ["with a raw # in its password", "postgres://me:12#s3cret@db.example/shop"],
  ["with a raw / in its password", "postgres://me:12/s3cret@db.example/shop"],
  ["with a raw ? in its password", "postgres://me:12?s3cret@db.example/shop"],
])("a URL %s is refused without repeating it", (_, url) => {
  const { message, facts } = refusal({ DATABASE_URL: url });

  expect(message).toContain("DATABASE_URL: must be a PostgreSQL URL");
  expect(`${message}${JSON.stringify(facts)}`).not.toContain("s3cret");
});

test("an invalid token is refused without repeating it", () => {
  expect(refusal({ DATABASE_URL, HARK_API_TOKEN: "s3cret\ttoken" }).message).not.toContain("s3cret");
});

test("the description of the settings has their sources and no secrets", () => {
  const lines = describeEnvironment(
    readEnvironment({
      DATABASE_URL: "postgres://me:p%40ss-s3cret@db.example/shop?sslmode=require",
      HARK_LISTEN_URL: "postgres:///shop?host=/var/run&user=me&password=s3cret&sslpassword=s3cret",
      SCRAPER_CONCURRENT_JOBS: "4",
      HARK_API_TOKEN: "s3cret-token",
    }),
  );

  expect(lines.join("\n")).not.toContain("s3cret");
  expect(lines.map((line) => line.replace(/ {2,}/g, " "))).toEqual([
    "DATABASE_URL postgres://me:***@db.example/shop?sslmode=require (environment)",
    "HARK_LISTEN_URL postgres:///shop?host=%2Fvar%2Frun&user=me&password=***&sslpassword=*** (environment)",
    "SCRAPER_CONCURRENT_JOBS 4 (environment)",
    "SCRAPER_RETRY_ATTEMPTS 3 (default)",
    "SCRAPER_REQUEST_DELAY 1000 ms (default)",
    "JOB_MANAGER_LOCK_TTL 600000 ms (default)",
    "JOB_MANAGER_LEASE 10000 ms (default)",
    "JOB_MANAGER_POLL_INTERVAL 1000 ms (default)",
    "JOB_MANAGER_DELAYED_INTERVAL 30000 ms (default)",
    "LOG_LEVEL info (default)",
    "PORT 3000 (default)",
    "HARK_API_TOKEN *** (environment)",
  ]);
});

test("a LOG_LEVEL of another logger is read as the level that it means", () => {
  for (const [given, level] of [
    ["", "info"],
    ["WARNING", "warn"],
    ["off", "silent"],
    ["30", "info"],
  ] as const)
    expect(readEnvironment({ DATABASE_URL, LOG_LEVEL: given }).logLevel).toBe(level);
});
