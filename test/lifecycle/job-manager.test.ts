import { randomBytes } from "node:crypto";
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
