import { HarkError, InvalidOptionsError, silentLogger } from "@hark/core";
import { afterEach, expect, test, vi } from "vitest";
import type { JobManagerOptions } from "./job-manager-options.ts";
import { JobManager } from "./job-manager.ts";
import { PostgresQueue } from "./queue/postgres-queue.ts";

afterEach(() => void vi.unstubAllEnvs());

/** No server listens there. */
const connectionString = "postgres://nobody@127.0.0.1:1/none";

const job = { type: "product", target_url: "https://shop.example/1" } as const;

test("one error names every wrong option", () => {
  const options = {
    concurrency: 0,
    lockTTL: 5,
    pollInterval: "1s",
    lockTtl: 1,
    logger: {},
  } as unknown as JobManagerOptions;
  vi.stubEnv("DATABASE_URL", "");
  const refused = caught(() => new JobManager(options));

  expect(refused).toBeInstanceOf(InvalidOptionsError);
  expect((refused as InvalidOptionsError).issues.map(({ path }) => path.join("."))).toEqual([
    "connectionString",
    "lockTTL",
    "pollInterval",
    "logger",
    "concurrency",
    "lockTtl",
  ]);
  expect(caught(() => new PostgresQueue({ connectionString, retryAttempts: 0 }))).toBeInstanceOf(InvalidOptionsError);
});

test("a JobManager that was not initialised refuses calls", async () => {
  const manager = new JobManager({ connectionString, logger: silentLogger });
  manager.setJobProcessor(() => ({ success: true, itemsProcessed: 1, errors: [], duration: 1 }));

  for (const call of [
    () => manager.addJob(job),
    () => manager.start(),
    () => manager.getStats(),
    () => manager.getDeadLetterJobs(),
    () => manager.addJobs([job]),
    () => manager.requeueDeadLetterJob(0),
    () => manager.deleteDeadLetterJob(0),
    () => manager.pruneDeadLetterJobs({ olderThan: 0 }),
    () => manager.acquireLock("x"),
    () => manager.releaseLock("x", "y"),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
  }
  expect(await manager.healthCheck()).toEqual({
    status: "unhealthy",
    isRunning: false,
    activeWorkers: 0,
    databaseConnected: false,
    reasons: ["the JobManager is not initialised, or was stopped", "the JobManager is not started"],
  });
  await manager.stop();
});

test("a processor that is not a function is refused", () => {
  const manager = new JobManager({ connectionString, logger: silentLogger });

  expect(caught(() => manager.setJobProcessor("run" as never))).toBeInstanceOf(InvalidOptionsError);
});

test("initialize() reports an unreachable database, and may be called again", async () => {
  const manager = new JobManager({ connectionString, logger: silentLogger });

  await expect(manager.initialize()).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
  await expect(manager.initialize()).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
  await manager.stop();
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(HarkError);
    return error;
  }
  return undefined;
}
