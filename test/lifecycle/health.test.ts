import { DatabaseUnreachableError, defineJob, SchemaVersionError, silentLogger } from "@hark/core";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";
import { expireLease } from "../support/pass-time.ts";
import { startProxy } from "../support/proxy.ts";

test("a worker is healthy while it claims, holds its lease and listens, and otherwise gives the reason", async ({
  db,
  databaseUrl,
  producer,
  queue,
}) => {
  await using proxy = await startProxy(databaseUrl);
  const job = defineJob("test.healthy", { queue });
  const gate = Promise.withResolvers<void>();
  const worker = createWorker({
    connectionString: databaseUrl,
    listenUrl: proxy.url,
    handlers: [implement(job, () => gate.promise)],
    logger: silentLogger,
    pollInterval: 300,
  });
  expect(worker.health()).toMatchObject({ state: "new", isHealthy: false });
  await worker.start();
  try {
    await worker.whenListening(AbortSignal.timeout(10_000));
    expect(worker.health()).toEqual({
      state: "running",
      isHealthy: true,
      reasons: [],
      activeJobs: 0,
      listener: "listening",
    });

    await proxy.set("refuse");
    await eventually(() => !worker.health().isHealthy, { withinMs: 30_000, what: "the doubt" });
    expect(worker.health().reasons).toEqual([
      expect.stringMatching(/^no notifications \(.+\): jobs start only by the poll, every 300 ms$/),
    ]);
    const { id } = await producer.enqueue(job, {}); // still works, but less well
    await untilState(db, id, "running");
    expect(worker.health().activeJobs).toBe(1);

    await proxy.set("ok");
    await eventually(() => worker.health().isHealthy, { withinMs: 30_000, what: "good health" });
    gate.resolve();
    await untilState(db, id, "completed");
  } finally {
    await worker.stop("now");
  }
  expect(worker.health()).toMatchObject({
    state: "stopped",
    isHealthy: false,
    reasons: expect.arrayContaining(["the worker is stopped"]),
  });
});

test("a worker whose poll and claims fail says so, names the queue, and recovers by itself", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.plain", { queue });
  const worker = await startWorker([implement(job, () => {})], { pollInterval: 100 });

  await db.pool.query(
    "alter table hark.unique_keys rename to unique_keys_away; alter table hark.jobs rename to jobs_away",
  );
  try {
    const hasReason = (start: string) =>
      eventually(() => worker.health().reasons.some((reason) => reason.startsWith(start)), {
        withinMs: 30_000,
        what: `the reason "${start}"`,
      });
    await hasReason("the poll failed");
    await db.pool.query("select pg_notify('job_ready', $1)", [queue]);
    await hasReason(`claiming from ${queue} failed`);
  } finally {
    await db.pool.query(
      "alter table hark.unique_keys_away rename to unique_keys; alter table hark.jobs_away rename to jobs",
    );
  }

  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "completed", { withinMs: 30_000 });
  await eventually(() => worker.health().isHealthy, { withinMs: 30_000, what: "good health" });
});

test("a worker that is declared dead continues under a new identity", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.plain", { queue });
  const worker = await startWorker([implement(job, () => {})], { lease: "3s", name: queue });
  let losses = 0;
  worker.events.on("leaseLost", () => (losses += 1));
  const identities = async () =>
    (
      await db.pool.query<{ id: string; dead: boolean }>(
        "select id, dead_at is not null as dead from hark.workers where name = $1",
        [queue],
      )
    ).rows;
  const [first] = await identities();

  await expireLease(db, first!.id);

  await eventually(() => losses === 1, { withinMs: 30_000, what: "the loss" });
  await eventually(async () => (await identities()).some(({ id, dead }) => id !== first!.id && !dead), {
    withinMs: 30_000,
    what: "a new identity",
  });
  const { id } = await producer.enqueue(job, {});
  await untilState(db, id, "completed");
});

test("a worker refuses to start on a database without the schema, or without a database", async ({ server, queue }) => {
  const handlers = [implement(defineJob("test.plain", { queue }), () => {})];
  const empty = createWorker({ connectionString: await server.createDatabase(), handlers, logger: silentLogger });
  const nowhere = createWorker({
    connectionString: "postgres://me:secret@127.0.0.1:1/none",
    handlers,
    logger: silentLogger,
  });

  await expect(empty.start()).rejects.toThrow(SchemaVersionError);
  await expect(nowhere.start()).rejects.toThrow(DatabaseUnreachableError);
  await expect(nowhere.start()).rejects.not.toThrow(/secret/);
  expect([empty.health().state, nowhere.health().state]).toEqual(["stopped", "stopped"]);
  await Promise.all([empty.stop(), nowhere.stop()]);
});
