import { randomBytes, randomUUID } from "node:crypto";
import { createPayloadCipher } from "@hark/core";
import { type Job } from "pg-hark";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { done, test } from "../support/job-manager.ts";

const url = "https://shop.example/books/1";
const within = { withinMs: 55_000 };

test("an added job is processed and counted", async ({ manage }) => {
  const seen: Job[] = [];
  const manager = await manage((job) => {
    seen.push(job);
    return done;
  });

  const id = await manager.addJob({
    type: "product",
    target_url: url,
    priority: 7,
    metadata: { shop: "example" },
  });
  await eventually(async () => (await manager.getStats()).completed === 1, within);

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

test("the result of a processor is kept with the job", async ({ manage, sql }) => {
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

test("adding a second job with the unique key of an unfinished one reports the first", async ({ manage }) => {
  const manager = await manage();
  const first = await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1" });

  const second = await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1" });

  expect(second).toBe(first);
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

test("at most `concurrency` jobs run at once, and that is the size of the pool in health", async ({ manage }) => {
  let running = 0;
  let most = 0;
  const manager = await manage(
    async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 20)); // the work itself
      running -= 1;
      return done;
    },
    { concurrency: 4 },
  );
  expect(manager.health()).toEqual({ isRunning: true, activeWorkers: 4 });

  await manager.addJobs(Array.from({ length: 40 }, (_, n) => ({ type: "product", target_url: `${url}/${n}` })));
  await eventually(async () => (await manager.getStats()).completed === 40, within);

  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(4);
});

test("many jobs are added in one call, all or none", async ({ manage, sql }) => {
  const manager = await manage();
  const ids = await manager.addJobs([
    { type: "navigation", target_url: url },
    { type: "category", target_url: `${url}/2` },
    { type: "product", target_url: `${url}/3`, priority: 8, delay: 60_000 },
  ]);
  const { rows } = await sql.query("select id::text, type, priority, state from hark.jobs order by id");
  expect(rows).toEqual([
    { id: ids[0], type: "navigation", priority: 9, state: "ready" },
    { id: ids[1], type: "category", priority: 6, state: "ready" },
    { id: ids[2], type: "product", priority: 8, state: "scheduled" },
  ]);

  expect(await manager.addJobs([])).toEqual([]);
  const wrong = { type: "email", target_url: url };
  await expect(manager.addJobs([{ type: "product", target_url: url }, wrong])).rejects.toMatchObject({
    code: "UNKNOWN_JOB_TYPE",
  });
  await expect(manager.addJobs("x" as never)).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
  expect((await sql.query("select from hark.jobs")).rowCount).toBe(3);
});

test("a processor takes and releases locks, which last for lockTTL", async ({ manage, sql }) => {
  const seen = Promise.withResolvers<unknown[]>();
  const manager = await manage(
    async ({ target_url }, queue) => {
      const value = (await queue.acquireLock(target_url))!;
      const { rows } = await sql.query(
        "select round(extract(epoch from expires_at - acquired_at))::int as s from hark.locks",
      );
      const taken = await manager.acquireLock(target_url, { ttl: 1_000, maxRetries: 0 });
      seen.resolve([rows[0].s, taken, await queue.releaseLock(target_url, value)]);
      return done;
    },
    { lockTTL: 90_000 },
  );
  await manager.addJob({ type: "product", target_url: url });

  expect(await seen.promise).toEqual([90, null, true]);
  expect(await manager.acquireLock(url)).toEqual(expect.any(String));
  await expect(manager.acquireLock(url, { ttl: 1 })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
});

test("a delayed job whose notification was lost starts within delayedJobsInterval", async ({ manage, sql }) => {
  const manager = await manage(() => done, { delayedJobsInterval: 500, pollInterval: 600_000 });
  await manager.addJob({ type: "product", target_url: url, delay: 3_600_000 });
  const client = await sql.connect();
  await client.query("begin; set local session_replication_role = replica"); // an hour passes, and no trigger fires
  await client.query("update hark.jobs set run_at = clock_timestamp()");
  await client.query("commit");
  client.release();

  await eventually(async () => (await manager.getStats()).completed === 1, { withinMs: 20_000 }); // by default the next look is up to 30 s away
});

test("the jobs of a process that died run again long before lockTTL is over", async ({ manage, sql }) => {
  const dead = await manage();
  const id = await dead.addJob({ type: "product", target_url: url });
  const worker = randomUUID();
  await sql.query(
    `insert into hark.workers values ($1, 'dead', 'elsewhere', 1, '{}', now() - interval '1 min', now() - interval '1 s')`,
    [worker],
  );
  await sql.query(
    `with gone as (delete from hark.jobs returning *)
     insert into hark.running_jobs select id, queue, type, payload, priority, 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, now() - interval '1 min', $1, gen_random_uuid() from gone`,
    [worker],
  );

  const attempts = Promise.withResolvers<unknown[]>();
  await manage(
    (job) => {
      attempts.resolve([job.id, job.attempts]);
      return done;
    },
    { lockTTL: 86_400_000, lease: 1_000 },
  );
  expect(await attempts.promise).toEqual([id, 2]);

  // And its own jobs run again as soon, if it dies: by default within 10 s.
  await manage(() => done, { lockTTL: 86_400_000 });
  const { rows } = await sql.query(
    "select round(max(extract(epoch from expires_at - clock_timestamp())))::int as s from hark.workers",
  );
  expect(rows[0].s).toBeLessThanOrEqual(10);
});

test("an invalid job is rejected before anything is written", async ({ manage, sql }) => {
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

test("a JobManager with a cipher encrypts the jobs it adds, and decrypts them to run them", async ({ manage, sql }) => {
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
