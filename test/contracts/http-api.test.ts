import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { borrowPool, type Database, defineJob, getJob, openDatabase, silentLogger, statements } from "@hark/core";
import {
  createServer,
  defineMissionJob,
  missionJobs,
  type RunningServer,
  type StartOptions,
  startServer,
} from "@hark/server";
import type pg from "pg";
import { afterEach, describe, expect, inject } from "vitest";
import { test as base } from "../setup/fixtures.ts";

/** As they are before any server is made. */
const globals = [globalThis.Request, globalThis.Response];
const bearer = "an-operator's-token";

const test = base
  .extend("database", { scope: "file" }, ({ pool }) => borrowPool(pool))
  /** Starts servers on free ports, and closes them after the test. */
  .extend("start", async ({ database }, { onCleanup }) => {
    const started: RunningServer[] = [];
    onCleanup(async () => void (await Promise.all(started.map((server) => server.close()))));
    return async (options: Partial<StartOptions> = {}) => {
      const server = await startServer({ database, port: 0, token: bearer, logger: silentLogger, ...options });
      started.push(server);
      return server;
    };
  })
  /** One call to a server with the defaults of `start`. */
  .extend("call", async ({ start }) => {
    const { url } = await start();
    return (method: string, path: string, body?: unknown) => callTo(url, method, path, body);
  });

async function callTo(url: string, method: string, path: string, body?: unknown) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as any };
}

interface Doomed {
  type?: string;
  payload?: unknown;
  priority?: number;
  uniqueKey?: string;
  error?: string;
}

/** Takes a job through claim and burial, and answers its id. */
async function makeDeadLetter(database: Database, doomed: Doomed = {}): Promise<bigint> {
  const {
    type = "product",
    payload = { target_url: "https://shop.example/", metadata: {} },
    error = "Error: no",
  } = doomed;
  const queue = `q-${randomUUID()}`;
  const worker = randomUUID();
  const token = randomUUID();
  const job = { type, queue, payloadJson: JSON.stringify(payload), priority: doomed.priority ?? 0, maxAttempts: 3 };
  const rest = { key: undefined, uniqueKey: doomed.uniqueKey, runAt: undefined, delayMs: undefined };
  const [inserted] = await statements.insertJobs(database, { jobs: statements.jobsJson([{ ...job, ...rest }]) });
  await statements.registerWorker(database, {
    id: worker,
    name: "doomed",
    hostname: "here",
    pid: 1,
    queues: "{}",
    leaseMs: 60_000,
  });
  await statements.claimJobs(database, { queue, limit: 1, worker, token, types: [type] });
  const buried = { id: inserted!.id, token, ending: "error", reason: "attempts_exhausted", error } as const;
  expect(await statements.buryJobs(database, statements.buriedOf([buried]))).toHaveLength(1);
  await statements.leaveWorkers(database, { id: worker });
  return inserted!.id;
}

/** A socket that takes connections and never says a word: what a database behind a dead network looks like. */
async function blackHole() {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => sockets.add(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `postgres://postgres@127.0.0.1:${(server.address() as AddressInfo).port}/none`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

afterEach<{ pool: pg.Pool }>(async ({ pool }) => {
  await pool.query(
    "truncate hark.jobs, hark.running_jobs, hark.dead_jobs, hark.finished_jobs, hark.unique_keys, hark.workers, hark.stats",
  );
});

describe("POST /api/queue/jobs", () => {
  test.for(["navigation", "category", "product"])(
    "enqueues a %s job in the mission's shape",
    async (type, { call, database }) => {
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
    },
  );

  test("takes priority and metadata as optional", async ({ call, database }) => {
    const { status, body } = await call("POST", "/api/queue/jobs", {
      type: "product",
      target_url: "http://localhost:8080/b/1",
    });

    expect(status).toBe(201);
    expect(body.data).toMatchObject({ priority: 0, metadata: {}, status: "queued" });
    expect((await getJob(database, BigInt(body.data.id)))?.payload).toEqual({
      target_url: "http://localhost:8080/b/1",
      metadata: {},
    });
  });

  test("answers the first job again where its type allows one unfinished job per URL", async ({ start, pool }) => {
    const product = defineMissionJob("product", { uniqueKey: ({ target_url }) => target_url });
    const { url } = await start({ jobs: [product] });
    const body = { type: "product", target_url: "https://shop.example/once" };

    const first = await callTo(url, "POST", "/api/queue/jobs", body);
    const second = await callTo(url, "POST", "/api/queue/jobs", body);

    expect([first.body.data.status, second.body.data.status]).toEqual(["queued", "duplicate"]);
    expect(second.body.data.id).toBe(first.body.data.id);
    expect((await pool.query("select from hark.jobs")).rowCount).toBe(1);
  });

  test("takes further types that the server was given, and any with openTypes", async ({ start }) => {
    const given = await start({ jobs: [...missionJobs, defineMissionJob("sitemap", { priority: 3 })] });
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

describe("GET /api/queue/stats", () => {
  test("counts jobs in the mission's words, and is degraded while nothing runs them", async ({ call, database }) => {
    await makeDeadLetter(database);
    await call("POST", "/api/queue/jobs", { type: "product", target_url: "https://shop.example/1" });
    await call("POST", "/api/queue/jobs", { type: "product", target_url: "https://shop.example/2" });

    const answer = await call("GET", "/api/queue/stats");

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      success: true,
      data: {
        queue: { queued: 2, running: 0, completed: 0, failed: 1 },
        health: { isRunning: false, activeWorkers: 0, databaseConnected: true },
        status: "degraded",
        states: { scheduled: 0, ready: 2, parked: 0, running: 0, completed: 0, dead: 1, cancelled: 0 },
      },
    });
  });

  test("tells workers of other processes by their live leases", async ({ call, database, pool }) => {
    const worker = { name: "w", hostname: "here", pid: 1, queues: "{}" };
    for (const leaseMs of [60_000, 60_000, 0])
      await statements.registerWorker(database, { ...worker, id: randomUUID(), leaseMs });

    expect((await call("GET", "/api/queue/stats")).body.data).toMatchObject({
      health: { isRunning: true, activeWorkers: 2, databaseConnected: true },
      status: "healthy",
    });

    await pool.query("update hark.workers set dead_at = now()");
    expect((await call("GET", "/api/queue/stats")).body.data.health).toMatchObject({
      isRunning: false,
      activeWorkers: 0,
    });
  });

  test("asks the runtime of its own process if it has one", async ({ start }) => {
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
      status: "degraded",
    });
  });
});

describe("GET /api/queue/dead-letter", () => {
  test("lists dead letters in the mission's shape, oldest first", async ({ call, database }) => {
    const payload = { target_url: "https://shop.example/broken", metadata: { shop: 1 } };
    const error = "Error: 503 \u001b[31mred\u0007\n    at fetchPage (/srv/app/fetch.ts:10:3)\ncaused by SecretError";
    const first = await makeDeadLetter(database, { type: "category", payload, priority: -2, error });
    const second = await makeDeadLetter(database, { type: "email", payload: ["not", "the", "mission's"] });

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
          error: "Error: 503 \\u001b[31mred\\u0007",
          failed_at: moment,
          created_at: moment,
        },
        expect.objectContaining({ index: 1, id: String(second), type: "email", target_url: null, metadata: {} }),
      ],
      count: 2,
    });
  });

  test("lists at most limit", async ({ call, database }) => {
    const first = await makeDeadLetter(database);
    await makeDeadLetter(database);

    const { body } = await call("GET", "/api/queue/dead-letter?limit=1");
    expect(body).toMatchObject({ success: true, data: [{ index: 0, id: String(first) }], count: 1 });
    expect((await call("GET", "/api/queue/dead-letter?limit=200")).body.count).toBe(2);
  });

  test("answers an empty list", async ({ call }) => {
    expect((await call("GET", "/api/queue/dead-letter")).body).toEqual({ success: true, data: [], count: 0 });
  });
});

describe("POST /api/queue/dead-letter/requeue", () => {
  test("requeues by index, which counts as the list does", async ({ call, database }) => {
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

  test("answers 404 when there is none, also the second time", async ({ call, database }) => {
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

  test("answers 409 when another unfinished job has its unique key", async ({ start, database }) => {
    const product = defineMissionJob("product", { queue: "one-lane", uniqueKey: ({ target_url }) => target_url });
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

describe("a database that fails", () => {
  test.for(["refuses", "is silent"])(
    "stats keep their shape and answer in time when it %s",
    async (kind, { start }) => {
      using hole = await blackHole();
      const connectionString = kind === "is silent" ? hole.url : "postgres://postgres:secret@127.0.0.1:1/none";
      const failing = openDatabase({ connectionString });
      const { url } = await start({
        database: failing,
        runtime: { health: () => ({ isRunning: true, activeWorkers: 1 }) },
      });

      const startedAt = performance.now();
      const answer = await callTo(url, "GET", "/api/queue/stats");
      const tookMs = performance.now() - startedAt;

      expect(tookMs).toBeLessThan(2_500);
      expect(answer.status).toBe(503);
      expect(answer.body).toEqual({
        success: false,
        error: {
          code: kind === "is silent" ? "DATABASE_TIMEOUT" : "DATABASE_UNREACHABLE",
          message: expect.any(String),
          id: expect.any(String),
        },
        data: {
          queue: { queued: null, running: null, completed: null, failed: null },
          health: { isRunning: true, activeWorkers: 1, databaseConnected: false },
          status: "unhealthy",
        },
      });
      expect(JSON.stringify(answer.body)).not.toMatch(/secret|127\.0\.0\.1|select|\bat \S+:\d+/);
      await failing.close();
    },
  );

  test("every other call answers 503 without saying where the database is", async ({ start }) => {
    const failing = openDatabase({ connectionString: "postgres://postgres:secret@127.0.0.1:1/none" });
    const { url } = await start({ database: failing });

    for (const [method, path, body] of [
      ["POST", "/api/queue/jobs", { type: "product", target_url: "https://shop.example/" }],
      ["GET", "/api/queue/dead-letter"],
      ["POST", "/api/queue/dead-letter/requeue", { index: 0 }],
      ["POST", "/api/queue/dead-letter/requeue", { id: "1" }],
    ] as const) {
      const answer = await callTo(url, method, path, body);
      expect(answer, path).toMatchObject({
        status: 503,
        body: { success: false, error: { code: "DATABASE_UNREACHABLE" } },
      });
      expect(JSON.stringify(answer.body)).not.toMatch(/secret|127\.0\.0\.1|ECONN/);
    }
    expect(await callTo(url, "GET", "/readyz")).toMatchObject({
      status: 503,
      body: { isReady: false, reasons: ["database_unreachable"] },
    });
    expect(await callTo(url, "GET", "/livez")).toMatchObject({ status: 200, body: { isAlive: true, reasons: [] } });
    await failing.close();
  });

  test("an error nobody foresaw is a 500 with an id, and its text stays in the log", async ({ start, server }) => {
    const broken = openDatabase({
      connectionString: await server.createDatabase(undefined, { template: inject("template") }),
    });
    await broken.pool.query(
      `create function hark.explode() returns trigger language plpgsql as $$ begin raise exception 'secret row'; end $$`,
    );
    await broken.pool.query(`create trigger explode before insert on hark.jobs execute function hark.explode()`);
    const logged: { facts: any; message: string }[] = [];
    const logger = { ...silentLogger, error: (facts: object, message: string) => void logged.push({ facts, message }) };
    const { url } = await start({ database: broken, logger });

    const answer = await callTo(url, "POST", "/api/queue/jobs", {
      type: "product",
      target_url: "https://shop.example/private",
    });

    await broken.close();
    expect(answer.status).toBe(500);
    expect(answer.body).toEqual({
      success: false,
      error: { code: "INTERNAL", message: expect.any(String), id: expect.any(String) },
    });
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|select|insert|\bat \S+:\d+/);
    expect(logged).toMatchObject([
      {
        message: "request failed",
        facts: { requestId: answer.body.error.id, error: { code: "P0001", message: "secret row" } },
      },
    ]);
    expect(JSON.stringify(logged)).not.toMatch(/shop\.example|hark\.insert_jobs/);
  });

  test("a statement that fails is not in the log", async ({ start, server }) => {
    const broken = openDatabase({
      connectionString: await server.createDatabase(undefined, { template: inject("template") }),
    });
    await makeDeadLetter(broken);
    await broken.pool.query("alter table hark.dead_jobs rename to letters");
    await broken.pool.query("create view hark.dead_jobs as select * from hark.letters where 1 / (priority * 0) = 1");
    const logged: object[] = [];
    const { url } = await start({
      database: broken,
      logger: { ...silentLogger, error: (facts) => logged.push(facts) },
    });

    const answer = await callTo(url, "GET", "/api/queue/dead-letter");

    await broken.close();
    expect(answer).toMatchObject({ status: 500, body: { error: { code: "INTERNAL" } } });
    expect(logged).toMatchObject([{ error: { message: "a query failed", cause: { code: "22012" } } }]);
    expect(JSON.stringify([answer.body, logged])).not.toMatch(/select|from "hark"/i);
  });

  test("one without the schema is told as such", async ({ start, server }) => {
    const empty = openDatabase({ connectionString: await server.createDatabase() });
    const { url } = await start({ database: empty });

    expect(await callTo(url, "GET", "/readyz")).toMatchObject({
      status: 503,
      body: { isReady: false, reasons: ["schema_missing"] },
    });
    expect(await callTo(url, "GET", "/api/queue/stats")).toMatchObject({
      status: 503,
      body: {
        success: false,
        error: { code: "SCHEMA_VERSION" },
        data: { health: { databaseConnected: true }, status: "unhealthy" },
      },
    });
    await empty.close();
  });
});

describe("around the calls", () => {
  test("health is open to all and says nothing but yes, no and why", async ({ start }) => {
    const { url } = await start();

    const live = await fetch(`${url}/livez`);
    const ready = await fetch(`${url}/readyz`);
    expect([live.status, await live.json()]).toEqual([200, { isAlive: true, reasons: [] }]);
    expect([ready.status, await ready.json()]).toEqual([200, { isReady: true, reasons: [] }]);
  });

  test("every answer carries the safe headers, and none opens it to other origins", async ({ start }) => {
    const { url } = await start();

    for (const path of ["/livez", "/api/queue/stats", "/nowhere"]) {
      for (const authorization of ["", `Bearer ${bearer}`]) {
        const { headers } = await fetch(url + path, { headers: { authorization, origin: "https://evil.example" } });
        expect(Object.fromEntries(headers), path).toMatchObject({
          "cache-control": "no-store",
          "content-security-policy": expect.stringContaining("default-src 'none'"),
          "content-type": expect.stringContaining("application/json"),
          "referrer-policy": "no-referrer",
          "x-content-type-options": "nosniff",
        });
        expect([...headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
      }
    }
  });

  test("it answers a Request without any socket, so that it mounts in any framework", async ({ database }) => {
    const server = createServer({
      database,
      authorize: ({ headers }) => headers.get("x-user") === "root",
      logger: silentLogger,
    });
    const request = (user: string) =>
      new Request("https://app.example/api/queue/stats", { headers: { "x-user": user } });

    expect((await server.fetch(request("root"))).status).toBe(200);
    expect((await server.fetch(request("guest"))).status).toBe(401);
  });

  test("the application's global objects stay its own", async ({ start }) => {
    await start();
    expect([globalThis.Request, globalThis.Response]).toEqual(globals);
  });

  test("a job type that JobManager defines keeps the mission's payload", () => {
    expect(missionJobs.map(({ type }) => type)).toEqual(["navigation", "category", "product"]);
    expect(missionJobs[0].key?.({ target_url: "https://shop.example/", metadata: {} })).toBe("https://shop.example/");
  });
});

describe("starting and closing", () => {
  test("without a token it binds to loopback only", async ({ start }) => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
      await expect(start({ token: undefined, host }), host).rejects.toMatchObject({
        code: "OPEN_SERVER",
        facts: { host },
      });
    }
    for (const host of [undefined, "localhost", "127.0.0.1", "::1"]) {
      const server = await start({ token: undefined, ...(host && { host }) });
      expect(["127.0.0.1", "::1"]).toContain(server.host);
      expect((await fetch(`${server.url}/api/queue/stats`)).status).toBe(200);
    }
    const open = await start({ host: "0.0.0.0" });
    expect((await fetch(`http://127.0.0.1:${open.port}/api/queue/stats`)).status).toBe(401);
  });

  test("what cannot be a token, a port or a set of jobs is refused, and nothing listens", async ({ start }) => {
    await expect(start({ token: "" })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ token: "two words" })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ authorize: () => true })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ port: 70_000 })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ jobs: [defineJob("twice"), defineJob("twice")] })).rejects.toMatchObject({
      code: "INVALID_OPTIONS",
    });

    const { port } = await start();
    await expect(start({ port })).rejects.toMatchObject({ code: "CANNOT_LISTEN" });
  });

  test("close answers what came in, drops idle connections at once, and frees the port", async ({ start }) => {
    let letIn: (isLetIn: boolean) => void = () => {};
    const asked = Promise.withResolvers<void>();
    const slow = await start({
      token: undefined,
      authorize: () => {
        asked.resolve();
        return new Promise<boolean>((resolve) => (letIn = resolve));
      },
    });
    const silent = connect(slow.port, "127.0.0.1").on("error", () => {});
    await once(silent, "connect");
    const answer = fetch(`${slow.url}/api/queue/stats`);
    await asked.promise;

    const closed = slow.close();
    await once(silent, "close");
    letIn(true);

    expect((await answer).status).toBe(200);
    await closed;
    await expect(fetch(`${slow.url}/livez`)).rejects.toThrow();
    await start({ port: slow.port });
  });

  test("close cuts a request that outlasts the deadline", async ({ start }) => {
    const asked = Promise.withResolvers<void>();
    const stuck = await start({
      drainTimeout: 200,
      token: undefined,
      authorize: () => {
        asked.resolve();
        return new Promise<boolean>(() => {});
      },
    });
    const answer = fetch(`${stuck.url}/api/queue/stats`).then(
      () => "answered",
      () => "cut",
    );
    await asked.promise;

    await stuck.close();
    expect(await answer).toBe("cut");
  });
});
