import { randomBytes } from "node:crypto";
import {
  createPayloadCipher,
  type JobDefinition,
  RetryAfterError,
  silentLogger,
  SnoozeError,
  UnrecoverableError,
} from "@hark/core";
import { createServer, JobManager, type JobManagerOptions, type JobProcessor, type ProcessorJob } from "pg-hark";
import pg from "pg";
import { expect, inject } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { startProxy } from "../support/proxy.ts";

const url = "https://shop.example/books/1";
const done = { success: true, itemsProcessed: 1, errors: [], duration: 1 };
const within = { withinMs: 15_000 };

/** JobManagers share one queue, so each test has a database of its own. */
const test = base
  .extend("ownUrl", ({ server }) => server.createDatabase(undefined, { template: inject("template") }))
  .extend("sql", ({ ownUrl }, { onCleanup }) => {
    const pool = new pg.Pool({ connectionString: ownUrl });
    pool.on("error", () => {});
    onCleanup(() => pool.end());
    return pool;
  })
  /** An initialised JobManager, started if it gets a processor. */
  .extend("manage", ({ ownUrl }, { onCleanup }) => {
    const managers: JobManager[] = [];
    onCleanup(async () => void (await Promise.all(managers.map((manager) => manager.stop("now")))));
    return async (processor?: JobProcessor, options: Partial<JobManagerOptions> = {}) => {
      const manager = new JobManager({ connectionString: ownUrl, logger: silentLogger, ...options });
      managers.push(manager);
      await manager.initialize();
      if (processor) manager.setJobProcessor(processor);
      if (processor) await manager.start();
      return manager;
    };
  });

test("a job that was added is processed, and counted", async ({ manage }) => {
  const seen: ProcessorJob[] = [];
  const manager = await manage((job) => {
    seen.push(job);
    return done;
  });

  const { id, status } = await manager.addJob({
    type: "product",
    target_url: url,
    priority: 7,
    metadata: { shop: "example" },
  });
  await eventually(async () => (await manager.getStats()).completed === 1, within);

  expect(status).toBe("queued");
  expect(seen).toEqual([
    {
      id,
      type: "product",
      target_url: url,
      priority: 7,
      metadata: { shop: "example" },
      attempts: 1,
      max_attempts: 3,
      signal: expect.any(AbortSignal),
    },
  ]);
  expect(await manager.getStats()).toMatchObject({
    queued: 0,
    running: 0,
    completed: 1,
    failed: 0,
    states: { completed: 1, dead: 0 },
  });
});

test("what a processor answers is kept with the job", async ({ manage, sql }) => {
  const manager = await manage(() => ({
    success: true,
    itemsProcessed: 12,
    errors: ["one image was missing"],
    duration: 3.5,
  }));

  await manager.addJob({ type: "category", target_url: url });
  await eventually(async () => (await manager.getStats()).completed === 1, within);

  const { rows } = await sql.query("select result, payload, key from hark.finished_jobs");
  expect(rows).toEqual([
    {
      result: { success: true, itemsProcessed: 12, errors: ["one image was missing"], duration: 3.5 },
      payload: { target_url: url },
      key: url,
    },
  ]);
});

test("an unfinished job with the same unique key is told apart", async ({ manage }) => {
  const manager = await manage();
  const first = await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1" });

  const second = await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1" });

  expect(second).toEqual({ id: first.id, status: "duplicate" });
  expect((await manager.getStats()).queued).toBe(1);
});

test("a delayed job is scheduled, and runs when it is due", async ({ manage }) => {
  const manager = await manage();
  const addedAt = performance.now();
  await manager.addJob({ type: "product", target_url: url, delay: 300 });
  expect((await manager.getStats()).states).toMatchObject({ scheduled: 1, ready: 0 });

  const started = Promise.withResolvers<number>();
  manager.setJobProcessor(() => {
    started.resolve(performance.now());
    return done;
  });
  await manager.start();

  expect((await started.promise) - addedAt).toBeGreaterThan(290);
});

test("a job that fails in every attempt becomes a dead letter, with the processor's errors, and can be requeued", async ({
  manage,
  sql,
}) => {
  let isMended = false;
  const attempts: number[] = [];
  const manager = await manage(
    (job) => {
      attempts.push(job.attempts);
      return isMended ? done : { success: false, itemsProcessed: 0, errors: ["no price", "no title"], duration: 1 };
    },
    { retryAttempts: 2 },
  );
  const { id } = await manager.addJob({ type: "product", target_url: url, metadata: { page: 3 } });

  await eventually(() => attempts.length === 1, within);
  const retry = await eventually(
    async () => (await sql.query("select * from hark.jobs where state = 'scheduled'")).rows[0],
    within,
  );
  await sql.query("update hark.jobs set run_at = clock_timestamp()");
  await eventually(async () => (await manager.getStats()).failed === 1, within);

  expect(retry).toMatchObject({ attempt: 1, max_attempts: 2 });
  expect(await manager.getDeadLetterJobs(10)).toEqual([
    {
      id,
      type: "product",
      target_url: url,
      priority: 0,
      metadata: { page: 3 },
      attempts: 2,
      max_attempts: 2,
      reason: "attempts_exhausted",
      error: "JobFailedError: no price; no title",
      failed_at: expect.any(Date),
      created_at: expect.any(Date),
    },
  ]);

  isMended = true;
  expect(await manager.requeueDeadLetterJob(id)).toEqual({ id, type: "product" });
  await eventually(async () => (await manager.getStats()).completed === 1, within);
  expect(attempts).toEqual([1, 2, 1]);
  expect((await manager.getStats()).failed).toBe(0);
});

test("dead letters are requeued by their place in the list, oldest first", async ({ manage }) => {
  const manager = await manage(() => {
    throw new UnrecoverableError("gone");
  });
  const ids: string[] = [];
  for (const page of [1, 2, 3]) {
    ids.push((await manager.addJob({ type: "category", target_url: `${url}?page=${page}` })).id);
    await eventually(async () => (await manager.getStats()).failed === page, within);
  }
  await manager.stop();
  await manager.initialize();
  expect((await manager.getDeadLetterJobs()).map(({ id }) => id)).toEqual(ids);

  const requeued = await manager.requeueDeadLetterJob(1);

  expect(requeued.id).toBe(ids[1]);
  expect((await manager.getDeadLetterJobs(1)).map(({ id }) => id)).toEqual([ids[0]]);
  await expect(manager.requeueDeadLetterJob(2)).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  await expect(manager.requeueDeadLetterJob(ids[1]!)).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  for (const wrong of [-1, 1.5, 200, "", "x", "0", "9223372036854775808", null]) {
    await expect(manager.requeueDeadLetterJob(wrong as never)).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
  }
});

test("a dead letter whose unique key is taken stays one", async ({ manage }) => {
  const manager = await manage(() => {
    throw new UnrecoverableError("gone");
  });
  const { id } = await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1" });
  await eventually(async () => (await manager.getStats()).failed === 1, within);
  await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1", delay: 60_000 });

  await expect(manager.requeueDeadLetterJob(id)).rejects.toMatchObject({ code: "UNIQUE_KEY_TAKEN" });
  expect((await manager.getStats()).failed).toBe(1);
});

test("errors that say what comes next keep their meaning when a processor throws them", async ({ manage, sql }) => {
  const manager = await manage(({ metadata }) => {
    if (metadata.throws === "retry") throw new RetryAfterError(60_000, "busy");
    if (metadata.throws === "snooze") throw new SnoozeError(60_000);
    if (metadata.throws === "fatal") throw new UnrecoverableError("no such page");
    throw new Error("plain");
  });
  for (const throws of ["retry", "snooze", "fatal", "error"]) {
    await manager.addJob({ type: "product", target_url: `${url}/${throws}`, metadata: { throws } });
  }
  const { rows } = await eventually(async () => {
    const found = await sql.query(
      `select payload->'metadata'->>'throws' as throws, attempt,
              round(extract(epoch from run_at - clock_timestamp()))::int as due_in
         from hark.jobs where state = 'scheduled' order by 1`,
    );
    return found.rowCount === 3 && (await manager.getStats()).failed === 1 ? found : undefined;
  }, within);

  expect(rows).toEqual([
    { throws: "error", attempt: 1, due_in: 1 },
    { throws: "retry", attempt: 1, due_in: 60 },
    { throws: "snooze", attempt: 0, due_in: 60 },
  ]);
  expect(await manager.getDeadLetterJobs()).toMatchObject([
    { reason: "unrecoverable", error: expect.stringContaining("no such page") },
  ]);
});

test("an answer that says neither success nor failure is a dead letter that says so", async ({ manage }) => {
  const manager = await manage((() => ({ ok: true })) as never);

  await manager.addJob({ type: "navigation", target_url: url });
  await eventually(async () => (await manager.getStats()).failed === 1, within);

  expect(await manager.getDeadLetterJobs()).toMatchObject([
    {
      reason: "unrecoverable",
      error: expect.stringContaining("must answer { success, itemsProcessed, errors, duration }"),
    },
  ]);
});

test("two jobs of one URL never run at the same time", async ({ manage }) => {
  let running = 0;
  let most = 0;
  const manager = await manage(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 20)); // the work itself
    running -= 1;
    return done;
  });

  await Promise.all(Array.from({ length: 10 }, () => manager.addJob({ type: "product", target_url: url })));
  await eventually(async () => (await manager.getStats()).completed === 10, within);

  expect(most).toBe(1);
});

test("what is wrong with a job is told before anything is written", async ({ manage, sql }) => {
  const manager = await manage();
  const job = { type: "product", target_url: url };
  const wrongs: [code: string, job: unknown][] = [
    ["UNKNOWN_JOB_TYPE", { ...job, type: "email" }],
    ["UNKNOWN_JOB_TYPE", { target_url: url }],
    ["INVALID_PAYLOAD", { type: "product" }],
    ["INVALID_PAYLOAD", { ...job, target_url: "shop.example" }],
    ["INVALID_PAYLOAD", { ...job, target_url: "ftp://shop.example/" }],
    ["INVALID_PAYLOAD", { ...job, target_url: `${url}/${"x".repeat(1_024)}` }],
    ["INVALID_PAYLOAD", { ...job, metadata: "none" }],
    ["INVALID_PAYLOAD", { ...job, metadata: { at: new Date() } }],
    ["INVALID_PAYLOAD", { ...job, metadata: { text: "\0" } }],
    ["PAYLOAD_TOO_LARGE", { ...job, metadata: { text: "x".repeat(300_000) } }],
    ["INVALID_OPTIONS", { ...job, priority: 1.5 }],
    ["INVALID_OPTIONS", { ...job, priority: "high" }],
    ["INVALID_OPTIONS", { ...job, delay: -1 }],
    ["INVALID_OPTIONS", { ...job, delay: Number.NaN }],
    ["INVALID_OPTIONS", { ...job, unique_key: "" }],
    ["INVALID_OPTIONS", { ...job, prioritiy: 1 }],
    ["INVALID_OPTIONS", undefined],
  ];

  for (const [code, wrong] of wrongs)
    await expect(manager.addJob(wrong as never), JSON.stringify(wrong)).rejects.toMatchObject({ code });

  expect((await sql.query("select * from hark.jobs")).rowCount).toBe(0);
});

test("a JobManager without a processor does not start", async ({ manage }) => {
  const manager = await manage();

  await expect(manager.start()).rejects.toMatchObject({ code: "NO_PROCESSOR" });
  expect(manager.health()).toEqual({ isRunning: false, activeWorkers: 0 });
});

test("initialize migrates only when it is told to", async ({ server }) => {
  const connectionString = await server.createDatabase();
  const careful = new JobManager({ connectionString, logger: silentLogger });
  await expect(careful.initialize()).rejects.toMatchObject({ code: "SCHEMA_VERSION" });

  const bold = new JobManager({ connectionString, logger: silentLogger, migrate: true });
  await bold.initialize();
  await careful.initialize();

  expect((await careful.getStats()).queued).toBe(0);
  await Promise.all([careful.stop(), bold.stop()]);
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
  expect(await manager.healthCheck()).toMatchObject({ isRunning: true, activeWorkers: 1, databaseConnected: true });

  const stopping = Promise.all([manager.stop(), manager.stop()]);
  mayEnd.resolve();
  await stopping;
  await expect(manager.getStats()).rejects.toMatchObject({ code: "NOT_INITIALIZED" });

  await manager.initialize();
  expect(await manager.getStats()).toMatchObject({ completed: 1, states: { ready: 1 } });
  await manager.start();
  await eventually(async () => (await manager.getStats()).completed === 2, within);
});

test("an impatient stop hands running jobs back without burning the attempt", async ({ manage, sql }) => {
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

test("health is answered while the database is gone", async ({ ownUrl, manage }) => {
  await using proxy = await startProxy(ownUrl);
  const manager = await manage(() => done, { connectionString: proxy.url });
  await eventually(async () => (await manager.healthCheck()).reasons.length === 0, within);
  expect(await manager.healthCheck()).toEqual({
    isRunning: true,
    activeWorkers: 0,
    databaseConnected: true,
    reasons: [],
  });

  for (const mode of ["hole", "refuse"] as const) {
    await proxy.set(mode);
    const askedAt = performance.now();
    const { databaseConnected, reasons } = await manager.healthCheck();
    expect(performance.now() - askedAt).toBeLessThan(3_000);
    expect(databaseConnected).toBe(false);
    expect(reasons[0]).toMatch(/127\.0\.0\.1/);
  }

  await proxy.set("ok");
  await eventually(async () => (await manager.healthCheck()).databaseConnected, within);
});

test("the HTTP API takes a JobManager as its runtime", async ({ ownUrl, manage }) => {
  const manager = await manage(() => done);
  const jobs: readonly JobDefinition[] = manager.jobs;
  await using server = createServer({ connectionString: ownUrl, runtime: manager, jobs, logger: silentLogger });
  const request = new Request("http://127.0.0.1/api/queue/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "product", target_url: url }),
  });

  expect((await server.fetch(request)).status).toBe(201);
  await eventually(async () => (await manager.getStats()).completed === 1, within);

  const stats = await server.fetch(new Request("http://127.0.0.1/api/queue/stats"));
  expect(await stats.json()).toMatchObject({
    success: true,
    data: {
      queue: { completed: 1 },
      health: { isRunning: true, activeWorkers: 0, databaseConnected: true },
      status: "healthy",
    },
  });
});

test("a JobManager with a cipher seals what it adds and runs it opened", async ({ manage, sql }) => {
  const cipher = createPayloadCipher({ keys: { a: randomBytes(32) }, current: "a" });
  const card = "4111-1111-1111-1111";
  const run = Promise.withResolvers<unknown>();
  const manager = await manage(
    ({ metadata }) => {
      run.resolve(metadata);
      return { success: true, itemsProcessed: 1, errors: [], duration: 0 };
    },
    { cipher },
  );
  await manager.addJob({ type: "product", target_url: "https://shop.example/sealed", metadata: { card } });
  expect(await run.promise).toEqual({ card });
  const { rows } = await sql.query(
    "select payload::text from hark.jobs union all select payload::text from hark.running_jobs union all select payload::text from hark.finished_jobs",
  );
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain(card);
});
