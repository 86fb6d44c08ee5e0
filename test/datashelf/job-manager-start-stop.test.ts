import { type JobDefinition, silentLogger } from "@hark/core";
import { createServer, JobManager, runUntilSignalled } from "pg-hark";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { done, test } from "../support/job-manager.ts";
import { startProxy } from "../support/proxy.ts";

const url = "https://shop.example/books/1";
const within = { withinMs: 55_000 };

test("a JobManager without a processor does not start", async ({ manage }) => {
  const manager = await manage();

  await expect(manager.start()).rejects.toMatchObject({ code: "NO_PROCESSOR" });
  expect(manager.health()).toEqual({ isRunning: false, activeWorkers: 0 });
});

test("initialize brings the schema, also from many processes at once, unless it is told not to", async ({ server }) => {
  const connectionString = await server.createDatabase();
  const careful = new JobManager({ connectionString, logger: silentLogger, migrate: false });
  await expect(careful.initialize()).rejects.toMatchObject({ code: "SCHEMA_VERSION" });

  const bold = Array.from({ length: 4 }, () => new JobManager({ connectionString, logger: silentLogger }));
  await Promise.all(bold.map((manager) => manager.initialize()));
  await careful.initialize();

  expect((await careful.getStats()).queued).toBe(0);
  await Promise.all([careful, ...bold].map((manager) => manager.stop()));
});

test("a wait for signals ends when the JobManager is stopped by code", { tags: ["FM-74"] }, async ({ manage }) => {
  const manager = await manage(() => done);
  const signals = process.listenerCount("SIGTERM");
  const ended = runUntilSignalled(manager, silentLogger);
  await manager.stop();
  await ended;
  expect(process.listenerCount("SIGTERM")).toBe(signals);
});

test("stop lets running jobs end, which may still add others, and the JobManager can start again", async ({
  manage,
}) => {
  const isRunning = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const manager = await manage(async ({ type }) => {
    if (type === "product") return done;
    isRunning.resolve();
    await mayEnd.promise;
    await manager.addJob({ type: "product", target_url: `${url}/found` });
    return done;
  });
  await manager.addJob({ type: "category", target_url: url });
  await isRunning.promise;
  expect(await manager.healthCheck()).toMatchObject({ isRunning: true, activeWorkers: 3, databaseConnected: true });

  const stopping = Promise.all([manager.stop(), manager.stop()]);
  mayEnd.resolve();
  await stopping;
  await expect(manager.getStats()).rejects.toMatchObject({ code: "NOT_INITIALIZED" });

  await manager.initialize();
  expect(await manager.getStats()).toMatchObject({ completed: 1, states: { ready: 1 } });
  await manager.start();
  await eventually(async () => (await manager.getStats()).completed === 2, within);
});

test("a stop without patience hands running jobs back without using up an attempt", async ({ manage, sql }) => {
  const isRunning = Promise.withResolvers<AbortSignal>();
  const manager = await manage(async ({ signal }) => {
    isRunning.resolve(signal);
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    return done;
  });
  await manager.addJob({ type: "product", target_url: url });
  const signal = await isRunning.promise;

  const stopping = manager.stop();
  await manager.stop("now");
  await stopping;

  expect(signal.reason).toMatchObject({ code: "WORKER_STOPPING" });
  expect((await sql.query("select state, attempt from hark.jobs")).rows).toEqual([{ state: "ready", attempt: 0 }]);
});

test("health works while the database is gone", async ({ ownUrl, manage }) => {
  await using proxy = await startProxy(ownUrl);
  const manager = await manage(() => done, { connectionString: proxy.url });
  await eventually(async () => (await manager.healthCheck()).reasons.length === 0, within);
  expect(await manager.healthCheck()).toEqual({
    status: "healthy",
    isRunning: true,
    activeWorkers: 3,
    databaseConnected: true,
    reasons: [],
  });

  for (const mode of ["hole", "refuse"] as const) {
    await proxy.set(mode);
    const { databaseConnected, reasons, status } = await manager.healthCheck();
    expect([databaseConnected, status]).toEqual([false, "unhealthy"]);
    expect(reasons[0]).toMatch(/127\.0\.0\.1/);
  }

  await proxy.set("ok");
  await eventually(async () => (await manager.healthCheck()).databaseConnected, within);
});

test("the HTTP API takes a JobManager as its runtime", async ({ ownUrl, manage }) => {
  const manager = await manage(() => done);
  const jobs: readonly JobDefinition[] = manager.jobs;
  const token = "0123456789abcdef0123456789abcdef";
  const authorization = `Bearer ${token}`;
  await using server = createServer({ connectionString: ownUrl, token, runtime: manager, jobs, logger: silentLogger });
  const request = new Request("http://127.0.0.1/api/queue/jobs", {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ type: "product", target_url: url }),
  });

  expect((await server.fetch(request)).status).toBe(201);
  await eventually(async () => (await manager.getStats()).completed === 1, within);

  const stats = await server.fetch(new Request("http://127.0.0.1/api/queue/stats", { headers: { authorization } }));
  expect(await stats.json()).toMatchObject({
    success: true,
    data: {
      queue: { completed: 1 },
      health: { isRunning: true, activeWorkers: 3, databaseConnected: true },
      status: "healthy",
    },
  });
});
