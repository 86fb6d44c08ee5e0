import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type Database, openDatabase } from "@hark/core";
import { statements } from "@hark/core/internal";
import pg from "pg";
import { test as base } from "../setup/fixtures.ts";

const main = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  stdin?: string;
  nodeArgs?: readonly string[];
  cwd?: string;
}

/**
 * The built command in a process of its own, without the database settings of the environment that
 * the tests run in.
 */
export function start(args: readonly string[], { env = {}, stdin = "", nodeArgs = [], cwd }: RunOptions = {}) {
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(cwd !== undefined && { cwd }),
  });
  child.stdin.on("error", () => {}); // the command may have ended without reading its input
  child.stdin.end(stdin);
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const ended: Promise<Ended> = Promise.all([text(child.stdout), once(child, "close")]).then(([stdout]) => ({
    code: child.exitCode,
    stdout,
    stderr,
  }));
  return { child, ended, stderr: () => stderr };
}

export const run = (args: readonly string[], options?: RunOptions): Promise<Ended> => start(args, options).ended;

/** A test of the built command, on empty tables. */
export const test = base
  .extend("db", { scope: "file" }, ({ databaseUrl }, { onCleanup }) => {
    const db = openDatabase({ connectionString: databaseUrl });
    onCleanup(() => db.close());
    return db;
  })
  /** `hark` on the file's own database. */
  .extend(
    "hark",
    { scope: "file" },
    ({ databaseUrl }) =>
      (args: readonly string[], options: RunOptions = {}) =>
        run(args, { ...options, env: { DATABASE_URL: databaseUrl, ...options.env } }),
  )
  /** Writes a user's module to a file. Returns its path. */
  .extend("writeModule", { scope: "file" }, async ({}, { onCleanup }) => {
    const folder = await mkdtemp(join(tmpdir(), "hark-cli-"));
    onCleanup(() => rm(folder, { recursive: true, force: true }));
    return async (name: string, source: string) => {
      const file = join(folder, name);
      const imports = ["@hark/core", "@hark/worker"].map((each) => [each, import.meta.resolve(each)] as const);
      await writeFile(
        file,
        imports.reduce((result, [from, to]) => result.replaceAll(`"${from}"`, `"${to}"`), source),
      );
      return file;
    };
  })
  /** A database without Hark's schema. */
  .extend("emptyUrl", ({ server }) => server.createDatabase())
  /** Runs before each test, since the file's tests share a database. */
  .extend("emptied", { auto: true }, async ({ pool }) => {
    await pool.query(
      "truncate hark.jobs, hark.running_jobs, hark.finished_jobs, hark.dead_jobs, hark.attempts, hark.stats, hark.unique_keys, hark.workers",
    );
  });

/** A user's module: job types that count and fail, and their handlers. */
export const jobsModule = `
  import { defineJob } from "@hark/core";
  import { implement } from "@hark/worker";
  const positive = { "~standard": { version: 1, vendor: "test", validate: (value) =>
    typeof value === "number" && value > 0 ? { value } : { issues: [{ message: "must be above 0" }] } } };
  export const count: unknown = defineJob("count", { payload: positive });
  export const fail = defineJob("fail", { retry: { attempts: 1 } });
  export const handlers = [
    implement(count as any, ({ payload }: any) => { if (process.env.SAY) process.stderr.write("COUNTED " + payload + "\\n"); }),
    implement(fail, () => { throw new Error("no luck"); }),
  ];`;

/** Inserts a job as the producer does, without the cost of a process. */
export async function insert(db: Database, job: Partial<statements.NewJob>): Promise<bigint> {
  const plain = {
    type: "count",
    queue: "default",
    payloadJson: "1",
    priority: 0,
    maxAttempts: 3,
    key: undefined,
    uniqueKey: undefined,
  };
  const jobs = statements.jobsJson([{ ...plain, runAt: undefined, delayMs: undefined, ...job }]);
  const [inserted] = await statements.insertJobs(db, { jobs });
  return inserted!.id;
}

/** One dead job, as a worker leaves it. */
export async function bury(db: Database, type: string, uniqueKey?: string): Promise<bigint> {
  const id = await insert(db, { type, uniqueKey, payloadJson: `{"secret":1}`, maxAttempts: 1 });
  const worker = await register(db);
  const token = crypto.randomUUID();
  await statements.claimJobs(db, { queue: "default", limit: 1, worker, token, types: [type] });
  await statements.buryJobs(
    db,
    statements.buriedOf([
      {
        id,
        token,
        ending: "error",
        reason: "attempts_exhausted",
        error: "Error: \u001b[31mred\u001b[0m\n    at somewhere",
      },
    ]),
  );
  await statements.leaveWorkers(db, { id: worker });
  return id;
}

export async function register(db: Database): Promise<string> {
  const id = crypto.randomUUID();
  const place = { name: "live", hostname: "h", pid: 1, queues: `{"default":5}`, leaseMs: 60_000 };
  await statements.registerWorker(db, { id, ...place });
  return id;
}

/** A URL of the loopback address where no server listens. */
export async function closedUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return `postgres://someone:hunter2@127.0.0.1:${port}/app`;
}

/** Returns the rows of a statement, run in a session of its own. */
export async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}

/** Returns the number of rows of a table. */
export async function count(pool: pg.Pool, table: string): Promise<number> {
  return Number((await pool.query<{ count: string }>(`select count(*) from ${table}`)).rows[0]!.count);
}
