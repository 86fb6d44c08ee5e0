// @module-tag SEC-26
import { once } from "node:events";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { openDatabase, silentLogger } from "@hark/core";
import { describe, expect, inject } from "vitest";
import { callTo, makeDeadLetter, test } from "../support/url-jobs-api.ts";

/** A server that accepts connections and never responds, like a database behind a dead network. */
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

describe("a database that fails", () => {
  test.for(["refuses", "is silent"])(
    "stats keep their shape and respond in time when it %s",
    async (kind, { start }) => {
      using hole = await blackHole();
      const connectionString = kind === "is silent" ? hole.url : "postgres://postgres:secret@127.0.0.1:1/none";
      const failing = openDatabase({ connectionString });
      const { url } = await start({
        database: failing,
        runtime: { health: () => ({ isRunning: true, activeWorkers: 1 }) },
      });

      const answer = await callTo(url, "GET", "/api/queue/stats"); // callTo gives up after 20 s

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
          health: { isRunning: true, activeWorkers: 1, databaseConnected: false, reasons: [expect.any(String)] },
          status: "unhealthy",
        },
      });
      expect(JSON.stringify(answer.body)).not.toMatch(/secret|127\.0\.0\.1|select|\bat \S+:\d+/);
      await failing.close();
    },
  );

  test(
    "a read-only database, such as a standby, makes enqueueing respond with 503",
    { tags: ["FM-09"] },
    async ({ databaseUrl, start }) => {
      const readOnly = new URL(databaseUrl);
      readOnly.searchParams.set("options", "-c default_transaction_read_only=on");
      const standby = openDatabase({ connectionString: readOnly.href });
      const { url } = await start({ database: standby });

      const answer = await callTo(url, "POST", "/api/queue/jobs", {
        type: "product",
        target_url: "https://shop.example/",
      });

      expect(answer).toMatchObject({ status: 503, body: { success: false, error: { code: "DATABASE_UNREACHABLE" } } });
      await standby.close();
    },
  );

  test("every other call responds with 503 and does not say where the database is", async ({ start }) => {
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

  test("an unexpected error is a 500 with an id, and its text stays in the log", async ({ start, server }) => {
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
    expect(logged).toMatchObject([{ error: { code: "22012", message: "division by zero" } }]);
    expect(JSON.stringify([answer.body, logged])).not.toMatch(/select|from "hark"/i);
  });

  test("a database without the schema is reported as such", async ({ start, server }) => {
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
