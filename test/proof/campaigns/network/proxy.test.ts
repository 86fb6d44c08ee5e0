import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { orLate } from "@hark/core/internal";
import pg from "pg";
import { expect } from "vitest";
import { test as base } from "../../../setup/fixtures.ts";
import { eventually } from "../../../support/eventually.ts";
import { Proxy, resetOrClose, type Trouble } from "./proxy.ts";

const test = base
  .extend("proxy", async ({ databaseUrl }, { onCleanup }) => {
    const { hostname, port } = new URL(databaseUrl);
    const proxy = await Proxy.start(() => ({ host: hostname, port: Number(port) }));
    onCleanup(() => proxy[Symbol.asyncDispose]());
    return proxy;
  })
  .extend("connect", ({ proxy, databaseUrl }, { onCleanup }) => {
    const clients: pg.Client[] = [];
    onCleanup(() => {
      for (const client of clients) client.end().catch(() => {}); // on a silent connection no close arrives
    });
    return async (applicationName = "one", options: pg.ClientConfig = {}) => {
      const client = new pg.Client({
        connectionString: proxy.urlOf(databaseUrl),
        application_name: applicationName,
        connectionTimeoutMillis: 1_000,
        query_timeout: 1_000,
        ...options,
      });
      clients.push(client);
      client.on("error", () => {});
      await client.connect();
      return client;
    };
  });

const one = async (client: pg.Client) => (await client.query<{ one: number }>("select 1 as one")).rows[0]?.one;

test("bytes pass, and the proxy counts the connections it accepted", async ({ proxy, connect }) => {
  expect(await one(await connect())).toBe(1);
  expect(proxy.counts).toEqual({ accepted: 1, reset: 0, swallowed: 0, cutAtCommit: 0 });
});

test("cut resets open connections and new ones, until it is healed", async ({ proxy, connect }) => {
  const client = await connect();
  await proxy.set({ kind: "cut" });
  await expect(one(client)).rejects.toThrow(/reset|terminated|closed/i);
  await expect(connect()).rejects.toThrow();
  await proxy.set(undefined);
  expect(await one(await connect())).toBe(1);
});

test("refuse accepts no connection", async ({ proxy, connect }) => {
  await proxy.set({ kind: "refuse" });
  await expect(connect()).rejects.toThrow(/ECONNREFUSED/);
  await proxy.set(undefined);
  expect(await one(await connect())).toBe(1);
});

test.for([{ kind: "hole" }, { kind: "hole up" }, { kind: "hole down" }] satisfies Trouble[])(
  "in a $kind bytes are lost silently, even after it is healed, and later connections pass",
  async (trouble, { proxy, connect }) => {
    const client = await connect();
    await proxy.set(trouble);
    await expect(one(client)).rejects.toThrow(/timeout/i);
    expect(proxy.counts.swallowed).toBeGreaterThan(0);
    await proxy.set(undefined);
    await expect(one(client)).rejects.toThrow();
    expect(await one(await connect())).toBe(1);
  },
);

test("a trouble for one kind of client leaves the others alone", async ({ proxy, connect }) => {
  const [listener, worker] = [await connect("listener"), await connect("worker")];
  await proxy.set({ kind: "cut", only: "listener" });
  await expect(one(listener)).rejects.toThrow();
  expect(await one(worker)).toBe(1);
  await expect(connect("listener")).rejects.toThrow();
  expect(await one(await connect("worker"))).toBe(1);
});

test("delay and trickle are slow, and lose nothing", async ({ proxy, connect }) => {
  const client = await connect("one", { query_timeout: 20_000 });
  for (const trouble of [
    { kind: "delay", ms: 200 },
    { kind: "trickle", bytesPerSecond: 1_000 },
  ] satisfies Trouble[]) {
    await proxy.set(trouble);
    const askedAt = performance.now();
    const { rows } = await client.query<{ text: string }>("select repeat('x', 300) as text");
    expect(performance.now() - askedAt).toBeGreaterThan(150);
    expect(rows[0]?.text).toHaveLength(300);
  }
});

test("cut at commit: the commit succeeds, and the client gets no answer", async ({ proxy, connect, pool }) => {
  await pool.query("create table if not exists kept (way text)");
  await proxy.set({ kind: "cut at commit" });

  const alone = await connect("alone");
  await expect(alone.query("insert into kept values ($1)", ["alone"])).rejects.toThrow();

  const inTransaction = await connect("transaction");
  await inTransaction.query("begin");
  await inTransaction.query("insert into kept values ($1)", ["transaction"]);
  await expect(inTransaction.query("commit")).rejects.toThrow();

  await eventually(async () => (await pool.query("select from kept")).rowCount === 2, {
    withinMs: 5_000,
    what: "both rows",
  });
  expect(proxy.counts.cutAtCommit).toBe(2);
});

test("the target is asked for again for every connection", async ({ databaseUrl, onTestFinished }) => {
  const { hostname, port } = new URL(databaseUrl);
  const real = { host: hostname, port: Number(port) };
  let target = { host: "127.0.0.1", port: 1 };
  const proxy = await Proxy.start(() => target);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const ask = async () => {
    const client = new pg.Client({ connectionString: proxy.urlOf(databaseUrl), connectionTimeoutMillis: 1_000 });
    client.on("error", () => {});
    try {
      await client.connect();
      return await one(client);
    } finally {
      await orLate(client.end(), 100).catch(() => {}); // one that never connected may not see its own close
    }
  };
  await expect(ask()).rejects.toThrow();
  target = real;
  expect(await ask()).toBe(1);
});

test("a connection that is reset while it closes is closed, and does not keep its process alive", async ({
  onTestFinished,
}) => {
  const server = createServer({ allowHalfOpen: true }, (peer) => void peer.on("error", () => {}).resume());
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const socket = new Socket({ allowHalfOpen: true });
  const errors: Error[] = [];
  socket.on("error", (error) => errors.push(error));
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");

  const closed = once(socket, "close", { signal: AbortSignal.timeout(2_000) });
  socket.end();
  resetOrClose(socket);

  await closed;
  expect(errors).toEqual([]);
});
