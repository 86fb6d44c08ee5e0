import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbedded } from "@hark/test/database";
import { Redis } from "ioredis";
import type pg from "pg";
import { eventually, within } from "./clock.ts";
import { leash } from "./leash.ts";
import { openPool } from "./pool.ts";

/** Durable, as in production, and the same for every adapter. */
const settings = {
  shared_buffers: "1GB",
  max_wal_size: "4GB",
  max_connections: "400", // 50 workers of 5 connections, and the producers
  shared_preload_libraries: "pg_stat_statements",
};

/** A server that gives each run a store without traces of earlier runs. */
export interface Store extends AsyncDisposable {
  /** The server's version and settings, for the results. */
  readonly description: string;
  /** Creates an empty store. Returns its URL. */
  fresh(): Promise<string>;
}

export interface PostgresStore extends Store {
  /** The process id of the server. */
  readonly pid: number;
  /** Runs a statement as the superuser, outside the databases of the runs. */
  admin(text: string, values?: unknown[]): Promise<pg.QueryResult>;
}

/** Starts a PostgreSQL server for the bench. Each run has a database of its own. */
export async function startPostgres(): Promise<PostgresStore> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startEmbedded({ durable: true, settings }));
  const pool = openPool(server.url, 2);
  stack.defer(() => pool.end());
  const shown = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
  ];
  const { rows } = await pool.query<{ name: string; value: string }>(
    "select name, current_setting(name) as value from pg_settings where name = any ($1) order by name",
    [[...shown, "autovacuum"]],
  );
  let made = 0;
  const owned = stack.move();
  return {
    description: `PostgreSQL ${server.version} (${rows.map(({ name, value }) => `${name} ${value}`).join(", ")})`,
    pid: server.pid!,
    admin: (text, values) => pool.query(text, values),
    async fresh() {
      if (made > 0) await pool.query(`drop database if exists bench_${made} with (force)`);
      made += 1;
      await pool.query(`create database bench_${made}`);
      const url = new URL(server.url);
      url.pathname = `/bench_${made}`;
      return url.href;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Starts a Redis server for the bench, with an append-only file that is flushed each second.
 * Undefined if there is no redis-server.
 */
export async function startRedis(): Promise<Store | undefined> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "hark-bench-redis-"));
  const port = await freePort();
  const options = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--dir", folder];
  const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", ...options], { stdio: "ignore" });
  let isGone = false;
  child.once("error", () => (isGone = true)).once("exit", () => (isGone = true));
  // Redis renames itself once it runs: only the port stays in its command line.
  stack.use(leash(child.pid ?? 0, { words: `${port}`, folder }));
  const redis = new Redis({
    port,
    host: "127.0.0.1",
    lazyConnect: true,
    retryStrategy: () => 100,
    connectTimeout: 5_000,
    commandTimeout: 10_000,
  });
  redis.on("error", () => {}); // until it listens
  stack.defer(() => redis.disconnect());
  const answers = () => within(1_000, "A ping", redis.ping()).then(Boolean, () => false);
  if (!(await eventually(() => isGone || answers(), 30_000, 50)) || isGone) return undefined;
  const version = /redis_version:(\S+)/.exec(await redis.info("server"))?.[1] ?? "of an unknown version";
  const owned = stack.move();
  return {
    description: `Redis ${version} (appendonly yes, appendfsync everysec, save off)`,
    async fresh() {
      await within(30_000, "Emptying Redis", redis.flushall());
      return `redis://127.0.0.1:${port}`;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  const port = typeof address === "object" && address ? address.port : 0;
  probe.close();
  return port;
}
