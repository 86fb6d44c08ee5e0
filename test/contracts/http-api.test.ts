import { randomUUID } from "node:crypto";
import { defineJob, getJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { defineUrlJob, urlJobs } from "@hark/job-manager";
import { describe, expect } from "vitest";
import { z } from "zod";
import { callTo, makeDeadLetter, test } from "../support/url-jobs-api.ts";

describe("POST /api/queue/jobs", () => {
  test.for(["navigation", "category", "product"])("enqueues a %s job", async (type, { call, database }) => {
    const answer = await call("POST", "/api/queue/jobs", {
      type,
      target_url: "https://shop.example/books?page=2",
      priority: 7,
      metadata: { shop: "Bücher", depth: [1, { two: null }] },
    });

    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      success: true,
      data: {
        id: expect.stringMatching(/^\d+$/),
        type,
        target_url: "https://shop.example/books?page=2",
        priority: 7,
        metadata: { shop: "Bücher", depth: [1, { two: null }] },
        status: "queued",
      },
    });
    expect(await getJob(database, BigInt(answer.body.data.id))).toMatchObject({
      state: "ready",
      queue: "default",
      type,
      key: "https://shop.example/books?page=2",
      payload: {
        target_url: "https://shop.example/books?page=2",
        metadata: { shop: "Bücher", depth: [1, { two: null }] },
      },
      priority: 7,
      maxAttempts: 3,
    });
  });

  test("priority and metadata are optional", async ({ call, database }) => {
    const { status, body } = await call("POST", "/api/queue/jobs", {
      type: "product",
      target_url: "http://localhost:8080/b/1",
    });

    expect(status).toBe(201);
    expect(body.data).toMatchObject({ priority: 3, metadata: {}, status: "queued" });
    expect((await getJob(database, BigInt(body.data.id)))?.payload).toEqual({
      target_url: "http://localhost:8080/b/1",
      metadata: {},
    });
  });

  test("returns the first job again if its type allows one unfinished job per URL", async ({ start, pool }) => {
    const product = defineUrlJob("product", { uniqueKey: ({ target_url }) => target_url });
    const { url } = await start({ jobs: [product] });
    const body = { type: "product", target_url: "https://shop.example/once" };

    const first = await callTo(url, "POST", "/api/queue/jobs", body);
    const second = await callTo(url, "POST", "/api/queue/jobs", body);

    expect([first.body.data.status, second.body.data.status]).toEqual(["queued", "duplicate"]);
    expect(second.body.data.id).toBe(first.body.data.id);
    expect((await pool.query("select from hark.jobs")).rowCount).toBe(1);
  });

  test("accepts further types that the server was given, and any with openTypes", async ({ start }) => {
    const given = await start({ jobs: [...urlJobs, defineUrlJob("sitemap", { priority: 3 })] });
    const open = await start({ openTypes: true });
    const body = { type: "sitemap", target_url: "https://shop.example/sitemap.xml" };

    expect((await callTo(given.url, "POST", "/api/queue/jobs", body)).body.data).toMatchObject({
      type: "sitemap",
      priority: 3,
    });
    expect((await callTo(open.url, "POST", "/api/queue/jobs", body)).body.data).toMatchObject({
      type: "sitemap",
      priority: 0,
    });
    expect(await callTo(open.url, "POST", "/api/queue/jobs", { ...body, type: "No Name" })).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_NAME" } },
    });
  });
});

describe("POST /api/queue/jobs, other fields", () => {
  test("a delayed job is scheduled, and a unique key is held by one unfinished job", async ({ call, database }) => {
    const body = { type: "product", target_url: "https://shop.example/1", delay: 60_000, unique_key: "crawl 1" };

    const first = await call("POST", "/api/queue/jobs", body);
    const second = await call("POST", "/api/queue/jobs", { ...body, target_url: "https://shop.example/2" });

    expect([first.body.data.status, second.body.data.status]).toEqual(["queued", "duplicate"]);
    expect(second.body.data.id).toBe(first.body.data.id);
    const job = (await getJob(database, BigInt(first.body.data.id)))!;
    expect(job).toMatchObject({ state: "scheduled", uniqueKey: "crawl 1" });
    expect(job.runAt.getTime() - job.createdAt.getTime()).toBe(60_000);
  });

  test("jobs of other types take a payload, which their type checks", async ({ start, database }) => {
    const mail = defineJob("mail.welcome", {
      payload: z.object({ to: z.email() }),
      queue: "mail",
      priority: 4,
      key: ({ to }) => to,
    });
    const { url } = await start({ jobs: [...urlJobs, mail] });
    const post = (body: object) => callTo(url, "POST", "/api/queue/jobs", body);

    const added = await post({ type: "mail.welcome", payload: { to: "ada@example.com" }, priority: 5 });

    expect(added).toMatchObject({ status: 201, body: { success: true } });
    expect(added.body.data).toEqual({ id: expect.any(String), type: "mail.welcome", priority: 5, status: "queued" });
    expect(await getJob(database, BigInt(added.body.data.id))).toMatchObject({
      queue: "mail",
      payload: { to: "ada@example.com" },
      key: "ada@example.com",
      priority: 5,
    });
    expect(await post({ type: "mail.welcome", payload: { to: "nobody" } })).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_PAYLOAD" } },
    });
    const open = await start({ openTypes: true });
    const other = { type: "report.build", payload: [1, "two", null] };
    const { body } = await callTo(open.url, "POST", "/api/queue/jobs", other);
    expect(await getJob(database, BigInt(body.data.id))).toMatchObject({ payload: other.payload, key: null });
  });

  test("a body is refused unless it has either a URL or a payload", async ({ call, pool }) => {
    const target_url = "https://shop.example/1";
    for (const wrong of [
      { type: "product" },
      { type: "product", target_url, payload: {} },
      { type: "product", payload: {}, metadata: {} },
      { type: "product", target_url, delay: -1 },
      { type: "product", target_url, delay: "1s" },
      { type: "product", target_url, unique_key: 7 },
    ]) {
      const answer = await call("POST", "/api/queue/jobs", wrong);
      expect(answer, JSON.stringify(wrong)).toMatchObject({ status: 400, body: { error: { code: "INVALID_BODY" } } });
    }
    expect((await pool.query("select from hark.jobs")).rowCount).toBe(0);
  });
});

describe("GET /api/queue/stats", () => {
  test("counts jobs by state, and is unhealthy while no worker runs them", async ({ call, database }) => {
    await makeDeadLetter(database);
    await call("POST", "/api/queue/jobs", { type: "product", target_url: "https://shop.example/1" });
    await call("POST", "/api/queue/jobs", { type: "product", target_url: "https://shop.example/2" });

    const answer = await call("GET", "/api/queue/stats");

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      success: true,
      data: {
        queue: { queued: 2, running: 0, completed: 0, failed: 1 },
        health: {
          isRunning: false,
          activeWorkers: 0,
          databaseConnected: true,
          reasons: ["no worker runs jobs"],
        },
        status: "unhealthy",
        states: { scheduled: 0, ready: 2, parked: 0, running: 0, completed: 0, dead: 1, cancelled: 0 },
      },
    });
  });

  test("counts the slots of workers in other processes while their leases hold", async ({ call, database, pool }) => {
    const worker = { name: "w", hostname: "here", pid: 1, queues: `{"default":3,"mail":2}` };
    for (const leaseMs of [60_000, 60_000, 0])
      await statements.registerWorker(database, { ...worker, id: randomUUID(), leaseMs });

    expect((await call("GET", "/api/queue/stats")).body.data).toMatchObject({
      health: { isRunning: true, activeWorkers: 10, databaseConnected: true, reasons: [] },
      status: "healthy",
    });

    await pool.query("update hark.workers set dead_at = now()");
    expect((await call("GET", "/api/queue/stats")).body.data.health).toMatchObject({
      isRunning: false,
      activeWorkers: 0,
    });
  });

  test("asks the runtime of its own process, if it has one", async ({ start }) => {
    const { url } = await start({ runtime: { health: async () => ({ isRunning: true, activeWorkers: 5 }) } });
    const failing = await start({
      runtime: {
        health() {
          throw new Error("not now");
        },
      },
    });

    expect((await callTo(url, "GET", "/api/queue/stats")).body.data).toMatchObject({
      health: { isRunning: true, activeWorkers: 5, databaseConnected: true },
      status: "healthy",
    });
    expect((await callTo(failing.url, "GET", "/api/queue/stats")).body.data).toMatchObject({
      health: { isRunning: false, activeWorkers: 0, databaseConnected: true },
      status: "unhealthy",
    });
  });
});

describe("GET /api/queue/dead-letter", () => {
  test("lists dead letters, oldest first", async ({ call, database }) => {
    const payload = { target_url: "https://shop.example/broken", metadata: { shop: 1 } };
    const error = "Error: 503 \u001b[31mred\u0007\n    at fetchPage (/srv/app/fetch.ts:10:3)\ncaused by SecretError";
    const first = await makeDeadLetter(database, { type: "category", payload, priority: -2, error });
    const second = await makeDeadLetter(database, { type: "email", payload: ["not", "a", "URL"] });

    const answer = await call("GET", "/api/queue/dead-letter");

    const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      success: true,
      data: [
        {
          index: 0,
          id: String(first),
          type: "category",
          target_url: "https://shop.example/broken",
          priority: -2,
          metadata: { shop: 1 },
          attempts: 1,
          max_attempts: 3,
          reason: "attempts_exhausted",
          last_error: "503 \\u001b[31mred\\u0007",
          failed_at: moment,
          created_at: moment,
        },
        expect.objectContaining({ index: 1, id: String(second), type: "email", target_url: null, metadata: {} }),
      ],
      count: 2,
    });
  });

  test("lists at most `limit` dead letters", { tags: ["FM-54"] }, async ({ call, database }) => {
    const first = await makeDeadLetter(database);
    await makeDeadLetter(database);

    const { body } = await call("GET", "/api/queue/dead-letter?limit=1");
    expect(body).toMatchObject({ success: true, data: [{ index: 0, id: String(first) }], count: 1 });
    expect((await call("GET", "/api/queue/dead-letter?limit=200")).body.count).toBe(2);
  });

  test("returns an empty list", async ({ call }) => {
    expect((await call("GET", "/api/queue/dead-letter")).body).toEqual({ success: true, data: [], count: 0 });
  });
});

describe("POST /api/queue/dead-letter/requeue", () => {
  test("requeues by index, counted as in the list", async ({ call, database }) => {
    const first = await makeDeadLetter(database);
    const second = await makeDeadLetter(database, { type: "category" });

    const answer = await call("POST", "/api/queue/dead-letter/requeue", { index: 1 });

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ success: true, data: { id: String(second), type: "category", status: "requeued" } });
    expect(await getJob(database, second)).toMatchObject({ state: "ready", attempt: 0 });
    expect(await getJob(database, first)).toMatchObject({ state: "dead" });
  });

  test("requeues by id", async ({ call, database }) => {
    const id = await makeDeadLetter(database);

    const answer = await call("POST", "/api/queue/dead-letter/requeue", { id: String(id) });

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ success: true, data: { id: String(id), type: "product", status: "requeued" } });
    expect(await getJob(database, id)).toMatchObject({ state: "ready" });
  });

  test("responds with 404 when there is none, also the second time", async ({ call, database }) => {
    const id = await makeDeadLetter(database);
    const requeue = (choice: object) => call("POST", "/api/queue/dead-letter/requeue", choice);

    for (const choice of [{ index: 1 }, { index: 200 }, { index: 2_147_483_647 }, { id: "9223372036854775807" }]) {
      expect(await requeue(choice), JSON.stringify(choice)).toMatchObject({
        status: 404,
        body: { success: false, error: { code: "DEAD_LETTER_NOT_FOUND" } },
      });
    }
    expect((await requeue({ id: String(id) })).status).toBe(200);
    expect((await requeue({ id: String(id) })).status).toBe(404);
    expect((await requeue({ index: 0 })).status).toBe(404);
  });

  test("responds with 409 when another unfinished job has its unique key", async ({ start, database }) => {
    const product = defineUrlJob("product", { queue: "one-lane", uniqueKey: ({ target_url }) => target_url });
    const { url } = await start({ jobs: [product] });
    const body = { type: "product", target_url: "https://shop.example/once" };
    const dead = await makeDeadLetter(database, { uniqueKey: body.target_url });
    await database.pool.query("update hark.dead_jobs set queue = 'one-lane'");
    await callTo(url, "POST", "/api/queue/jobs", body);

    expect(await callTo(url, "POST", "/api/queue/dead-letter/requeue", { index: 0 })).toMatchObject({
      status: 409,
      body: { success: false, error: { code: "UNIQUE_KEY_TAKEN" } },
    });
    expect(await getJob(database, dead)).toMatchObject({ state: "dead" });
  });
});

describe("deleting dead letters", () => {
  test("DELETE removes one by id, and responds with 404 when there is none", async ({ call, database }) => {
    const first = await makeDeadLetter(database);
    const second = await makeDeadLetter(database, { type: "category" });

    expect(await call("DELETE", `/api/queue/dead-letter/${first}`)).toEqual({
      status: 200,
      body: { success: true, data: { id: String(first), type: "product", status: "deleted" } },
    });
    expect(await call("DELETE", `/api/queue/dead-letter/${first}`)).toMatchObject({
      status: 404,
      body: { error: { code: "DEAD_LETTER_NOT_FOUND" } },
    });
    for (const id of ["0", "x", "requeue", "9223372036854775808"])
      expect((await call("DELETE", `/api/queue/dead-letter/${id}`)).status, id).toBe(404);
    expect(await getJob(database, first)).toBeUndefined();
    expect(await getJob(database, second)).toMatchObject({ state: "dead" });
    expect((await call("GET", "/api/queue/stats")).body.data.queue.failed).toBe(1);
  });

  test("prune deletes those of an age, and says whether it is done", async ({ call, database, pool }) => {
    const ids = [await makeDeadLetter(database), await makeDeadLetter(database), await makeDeadLetter(database)];
    await pool.query("update hark.dead_jobs set finished_at = finished_at - interval '2 days' where id <> $1", [
      ids[2],
    ]);
    await pool.query("update hark.dead_jobs set type = 'other' where id = $1", [ids[1]]);
    const prune = (body: object) => call("POST", "/api/queue/dead-letter/prune", body);

    expect(await prune({ older_than: 86_400_000, type: "other" })).toEqual({
      status: 200,
      body: { success: true, data: { deleted: 1, isDone: true } },
    });
    expect((await prune({ older_than: 86_400_000 })).body.data).toEqual({ deleted: 1, isDone: true });
    expect((await call("GET", "/api/queue/dead-letter")).body.data).toMatchObject([{ id: String(ids[2]) }]);
    expect((await call("GET", "/api/queue/stats")).body.data.queue.failed).toBe(1);
    expect((await prune({})).status).toBe(400);
  });
});
