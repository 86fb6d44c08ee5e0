import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type Database, getJob, migrate, openDatabase, schemaVersion, statements } from "@hark/core";
import pg from "pg";
import { beforeEach, describe, expect } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";

const main = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  env?: Record<string, string>;
  stdin?: string;
  nodeArgs?: readonly string[];
}

/** The built command in a process of its own, which knows nothing of the databases of whoever runs the tests. */
function start(args: readonly string[], { env = {}, stdin = "", nodeArgs = [] }: RunOptions = {}) {
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => {}); // it may have ended without reading
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

const run = (args: readonly string[], options?: RunOptions): Promise<Ended> => start(args, options).ended;

const test = base
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
  /** Writes a module of the user's, and answers its path. */
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
  /** A database that has no Hark schema. */
  .extend("emptyUrl", ({ server }) => server.createDatabase());

beforeEach<{ pool: pg.Pool }>(async ({ pool }) => {
  await pool.query(
    "truncate hark.jobs, hark.running_jobs, hark.finished_jobs, hark.dead_jobs, hark.attempts, hark.stats, hark.unique_keys, hark.workers",
  );
});

const jobsModule = `
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

/** A job as the producer inserts it, without the cost of a process. */
async function insert(db: Database, job: Partial<statements.NewJob>): Promise<bigint> {
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

/** One job that died, as a worker leaves it. */
async function bury(db: Database, type: string, uniqueKey?: string): Promise<bigint> {
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

async function register(db: Database): Promise<string> {
  const id = crypto.randomUUID();
  const place = { name: "live", hostname: "h", pid: 1, queues: `{"default":5}`, leaseMs: 60_000 };
  await statements.registerWorker(db, { id, ...place });
  return id;
}

/** A URL of the loopback address where nothing listens. */
async function closedUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return `postgres://someone:hunter2@127.0.0.1:${port}/app`;
}

describe("the command line", () => {
  test("help and version go to stdout with 0; a wrong command or flag is 2, with a suggestion on stderr", async () => {
    const [help, version, command, flag, bare] = await Promise.all(
      [["--help"], ["--version"], ["stat"], ["migrate", "--chek"], ["stats"]].map((args) => run(args)),
    );
    expect(help).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Examples:\n {2}hark /) as string,
      stderr: "",
    });
    expect(version).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
      stderr: "",
    });
    expect(command).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(`Did you mean "hark stats"?`) as string,
    });
    expect(flag).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("Did you mean --check?") as string,
    });
    expect(bare).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("set DATABASE_URL") as string });
  });

  test("a Node that is too old is told so before anything else is loaded", async () => {
    const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"22.11.0"}})`;
    const ended = await run(["stats"], { nodeArgs: ["--import", old] });
    expect(ended).toEqual({
      code: 2,
      stdout: "",
      stderr: "hark: Node 22.11.0 is too old: Hark needs Node 22.12.0 or newer. Install one, and run this again.\n",
    });
  });

  test("a TypeScript module is refused clearly where Node runs none", async ({ hark, writeModule }) => {
    const ended = await hark(["work", await writeModule("typed.ts", jobsModule)], {
      nodeArgs: ["--no-experimental-strip-types"],
    });
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/typed\.ts is TypeScript, which Node runs from 22\.18\.0 on/) as string,
    });
  });

  test("the database is taken from --url, --url-file, HARK_DATABASE_URL, DATABASE_URL and PG*, in this order", async ({
    databaseUrl,
    writeModule,
  }) => {
    const wrong = await closedUrl();
    const urlFile = await writeModule("url", `${databaseUrl}\n`);
    const { hostname, port, username, password, pathname } = new URL(databaseUrl);
    const variables = {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: decodeURIComponent(username),
      PGPASSWORD: decodeURIComponent(password),
      PGDATABASE: pathname.slice(1),
    };
    const found = await Promise.all([
      run(["stats", "--url", databaseUrl], { env: { HARK_DATABASE_URL: wrong } }),
      run(["--url-file", urlFile, "stats"], { env: { HARK_DATABASE_URL: wrong } }),
      run(["stats"], { env: { HARK_DATABASE_URL: databaseUrl, DATABASE_URL: wrong } }),
      run(["stats"], { env: { DATABASE_URL: databaseUrl, PGHOST: "127.0.0.1", PGPORT: "1" } }),
      run(["stats"], { env: variables }),
    ]);
    expect(found.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  });

  test.for([["stats"], ["enqueue", "a", "1"], ["migrate", "--check"], ["doctor"]])(
    "%s: a database that cannot be reached is 3 within 6 s, and its password is told to nobody",
    { retry: 2 }, // on a busy machine the start of a process alone takes seconds
    async (args) => {
      const startedAt = performance.now();
      const { code, stdout, stderr } = await run(args, { env: { DATABASE_URL: await closedUrl() } });
      expect(code).toBe(3);
      expect(performance.now() - startedAt).toBeLessThan(6_000);
      expect(stdout + stderr).toMatch(/No PostgreSQL answered at 127\.0\.0\.1:\d+\/app/);
      expect(stdout + stderr).not.toContain("hunter2");
      if (args[0] !== "doctor") expect(stderr.split("\n")).toHaveLength(2);
    },
  );

  test.for([["stats"], ["enqueue", "a", "-"]])(
    "%s: a schema that is missing or newer is 4, and nothing is written",
    async (args, { emptyUrl }) => {
      const env = { DATABASE_URL: emptyUrl };
      expect(await run(args, { env })).toMatchObject({
        code: 4,
        stdout: "",
        stderr: expect.stringContaining(`Run "hark migrate"`) as string,
      });

      await migrate({ connectionString: emptyUrl });
      await query(emptyUrl, "insert into hark.migrations (version, name, hash) values (999, 'later', 'x')");
      expect(await run(args, { env })).toMatchObject({
        code: 4,
        stdout: "",
        stderr: expect.stringContaining("newer") as string,
      });
      expect(await query(emptyUrl, "select from hark.jobs")).toEqual([]);
    },
  );
});

describe("hark migrate", () => {
  test("applies what is pending, says what, and --check tells before and after", async ({ emptyUrl }) => {
    const env = { DATABASE_URL: emptyUrl };
    const before = await run(["migrate", "--check"], { env });
    expect(before).toMatchObject({ code: 1, stdout: expect.stringMatching(/^pending 0000_tables\n/) as string });

    const first = await run(["migrate", "--json"], { env });
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const { version, applied } = JSON.parse(first.stdout) as { version: number; applied: string[] };
    expect(applied).toHaveLength(version);

    expect(await run(["migrate"], { env })).toMatchObject({
      code: 0,
      stdout: `nothing to apply: the schema is at version ${version}\n`,
    });
    const after = await run(["migrate", "--check", "--json"], { env });
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toEqual({ version, wanted: version, pending: [] });
  });

  test("--check and migrating are 4 where the schema is newer or was changed", async ({ emptyUrl }) => {
    const env = { DATABASE_URL: emptyUrl };
    await migrate({ connectionString: emptyUrl });
    await query(emptyUrl, "update hark.migrations set hash = 'other' where version = 1");
    for (const args of [["migrate", "--check"], ["migrate"]]) {
      expect(await run(args, { env })).toMatchObject({
        code: 4,
        stderr: expect.stringContaining("differs from what was applied") as string,
      });
    }
    await query(emptyUrl, "insert into hark.migrations (version, name, hash) values (999, 'later', 'x')");
    expect(await run(["migrate", "--check"], { env })).toMatchObject({ code: 4 });
  });

  test("--sql needs no database, and its script leaves one as migrating does, also from a version between", async ({
    emptyUrl,
    server,
  }) => {
    const [whole, later] = await Promise.all([run(["migrate", "--sql"]), run(["migrate", "--sql", "--from", "1"])]);
    expect(whole).toMatchObject({ code: 0, stderr: "" });
    await query(emptyUrl, whole.stdout);
    expect(await schemaVersion(emptyUrl)).toMatchObject({ pending: [] });

    const migratedUrl = await server.createDatabase();
    await migrate({ connectionString: migratedUrl });
    const ledger = "select version, name, hash from hark.migrations order by version";
    expect(await query(emptyUrl, ledger)).toEqual(await query(migratedUrl, ledger));

    expect(later.stdout).not.toContain(`CREATE TABLE "hark"."jobs"`);
    expect(later.stdout).toContain("0001_moves");
  });
});

describe("hark enqueue", { timeout: 180_000 }, () => {
  test("prints the id of a job with all it was given", async ({ hark, db }) => {
    const flags = "--queue email --priority -5 --run-at 2030-01-31T09:00:00+01:00 --key k --unique-key u --attempts 7";
    const { code, stdout } = await hark(["enqueue", "email.welcome", `{"userId":"u1"}`, ...flags.split(" ")]);
    expect(code).toBe(0);
    expect(await getJob(db, BigInt(stdout))).toMatchObject({
      type: "email.welcome",
      queue: "email",
      payload: { userId: "u1" },
      priority: -5,
      maxAttempts: 7,
      key: "k",
      uniqueKey: "u",
      state: "scheduled",
      runAt: new Date("2030-01-31T08:00:00Z"),
    });
    const again = await hark(["enqueue", "email.welcome", "null", "--queue", "email", "--unique-key", "u", "--json"]);
    expect(JSON.parse(again.stdout)).toEqual({ jobs: [{ id: stdout.trim(), status: "duplicate" }] });
    expect(again.stderr).toContain("1 of 1 not enqueued");
  });

  test("- reads one payload a line, and prints the ids in their order", async ({ hark, db }) => {
    const { code, stdout } = await hark(["enqueue", "count", "-", "--delay", "5m"], {
      stdin: `{"n":1}\r\n\n2\n"three"`,
    });
    expect(code).toBe(0);
    const jobs = await Promise.all(
      stdout
        .trim()
        .split("\n")
        .map((id) => getJob(db, BigInt(id))),
    );
    expect(jobs.map((job) => job?.payload)).toEqual([{ n: 1 }, 2, "three"]);
    expect(jobs.every((job) => job?.state === "scheduled")).toBe(true);
  });

  test("more lines than one statement takes are all enqueued, or none", async ({ hark, pool }) => {
    const many = Array.from({ length: 2_500 }, (_, n) => String(n)).join("\n");
    const all = await hark(["enqueue", "count", "-"], { stdin: many });
    expect(all.stdout.trim().split("\n")).toHaveLength(2_500);
    expect(await count(pool, "hark.jobs")).toBe(2_500);

    expect(await hark(["enqueue", "count", "-"], { stdin: `${many}\n"\\u0000"` })).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^hark: Line 2501: .*NUL/) as string,
    });
    expect(await count(pool, "hark.jobs")).toBe(2_500);
  });

  test("what is wrong is refused with 2, and nothing is written", async ({ hark, pool }) => {
    const wrong: [string[], RegExp][] = [
      [["count", "{oops}"], /The payload is no JSON: .* quote it/],
      [["Email", "1"], /"Email" cannot name a job type/],
      [["count", "1", "--queue", "no spaces"], /cannot name a queue/],
      [["count", "1", "--delay", "5 minutes"], /is no duration/],
      [["count", `"\\u0000"`], /NUL/],
    ];
    const ended = await Promise.all(wrong.map(([args]) => hark(["enqueue", ...args])));
    for (const [place, [, said]] of wrong.entries()) {
      expect(ended[place]).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(said) as string });
    }
    const long = await hark(["enqueue", "count", "-"], { stdin: JSON.stringify("x".repeat(262_144)) });
    expect(long).toMatchObject({ code: 2, stderr: expect.stringMatching(/^hark: Line 1: .*over the limit/) as string });
    expect(await count(pool, "hark.jobs")).toBe(0);
  });

  test("--module checks type and payload, and brings the job type's own options", async ({ hark, db, writeModule }) => {
    const file = await writeModule("enqueued.ts", jobsModule);
    const [zero, line, unknown] = await Promise.all([
      hark(["enqueue", "count", "0", "--module", file]),
      hark(["enqueue", "count", "-", "--module", file], { stdin: "1\n0" }),
      hark(["enqueue", "cuont", "1", "--module", file]),
    ]);
    expect(zero).toMatchObject({ code: 2, stderr: expect.stringContaining("must be above 0") as string });
    expect(line).toMatchObject({ code: 2, stderr: expect.stringMatching(/Line 2: .*must be above 0/) as string });
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("known are count, fail") as string });
    const { stdout } = await hark(["enqueue", "fail", "{}", "--module", file]);
    expect(await getJob(db, BigInt(stdout))).toMatchObject({ type: "fail", maxAttempts: 1 });
  });
});

describe("hark stats and hark dead", () => {
  test("stats count by queue and state, as a table or as one document", async ({ hark, db }) => {
    await insert(db, { queue: "one" });
    await insert(db, { queue: "two", delayMs: 3_600_000 });
    await bury(db, "dies");
    const [table, document] = await Promise.all([hark(["stats"]), hark(["stats", "--json"])]);
    expect(table).toMatchObject({ code: 0, stderr: "" });
    const rows = table.stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    expect(rows).toEqual([
      ["queue", "scheduled", "ready", "parked", "running", "completed", "dead", "cancelled"],
      ["default", "0", "0", "0", "0", "0", "1", "0"],
      ["one", "0", "1", "0", "0", "0", "0", "0"],
      ["two", "1", "0", "0", "0", "0", "0", "0"],
      ["(all)", "1", "1", "0", "0", "0", "1", "0"],
    ]);
    expect(document.stderr).toBe("");
    expect(JSON.parse(document.stdout)).toMatchObject({ queued: 2, failed: 1, queues: { two: { scheduled: 1 } } });
  });

  test("dead letters are listed oldest first, in lines that no terminal acts on", async ({ hark, db }) => {
    const ids = [await bury(db, "one"), await bury(db, "two"), await bury(db, "one")];
    const [list, document] = await Promise.all([
      hark(["dead", "list"]),
      hark(["dead", "list", "--type", "one", "--limit", "1", "--json"]),
    ]);
    expect(list).toMatchObject({ code: 0, stderr: "" });
    const lines = list.stdout.trim().split("\n");
    expect(lines.map((line) => line.split(/\s+/)[0])).toEqual(["id", ...ids.map(String)]);
    expect(lines[1]).toMatch(/one +1\/1 +attempts_exhausted +\d{4}-.*Error: \\u001b\[31mred/);
    expect(list.stdout).not.toContain("\u001b");

    expect(JSON.parse(document.stdout)).toMatchObject({
      jobs: [{ id: String(ids[0]), type: "one", payload: { secret: 1 } }],
    });
  });

  test("dead letters are requeued by id; what is none is a finding, and the others go all the same", async ({
    hark,
    db,
  }) => {
    const ids = [await bury(db, "one"), await bury(db, "one"), await bury(db, "one", "held")];
    await insert(db, { type: "other", uniqueKey: "held" });
    const dry = await hark(["dead", "requeue", String(ids[0]), "--dry-run"]);
    expect(dry).toMatchObject({
      code: 0,
      stdout: `${ids[0]}\n`,
      stderr: expect.stringContaining("nothing was changed") as string,
    });
    expect(await getJob(db, ids[0]!)).toMatchObject({ state: "dead" });

    const requeued = await hark(["dead", "requeue", String(ids[0]), "999999", String(ids[2]), "--json"]);
    expect(requeued.code).toBe(1);
    expect(JSON.parse(requeued.stdout)).toEqual({
      dryRun: false,
      requeued: [String(ids[0])],
      missing: ["999999"],
      blocked: [String(ids[2])],
    });
    expect(await getJob(db, ids[0]!)).toMatchObject({ state: "ready", attempt: 0 });
    expect(await getJob(db, ids[1]!)).toMatchObject({ state: "dead" });
  });

  test("--all requeues all of a type, more than one list holds", async ({ hark, db, pool }) => {
    await bury(db, "other");
    await bury(db, "many");
    await pool.query(`insert into hark.dead_jobs select job.id + n, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
      run_at, created_at, reason, error, started_at, finished_at from hark.dead_jobs job, generate_series(1, 449) n where type = 'many'`);
    const dry = await hark(["dead", "requeue", "--all", "--type", "many", "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stderr: "would requeue 450; nothing was changed\n" });
    expect(dry.stdout.trim().split("\n")).toHaveLength(450);
    const all = await hark(["dead", "requeue", "--all", "--type", "many"]);
    expect(all).toMatchObject({ code: 0, stderr: "requeued 450\n" });
    expect(await count(pool, "hark.dead_jobs")).toBe(1);
  });

  test("--all goes past those that stay dead letters, however many", async ({ hark, db, pool }) => {
    await insert(db, { uniqueKey: "held" });
    await bury(db, "many");
    const copies = (from: number, to: number, uniqueKey: string) =>
      pool.query(`insert into hark.dead_jobs select job.id + n, queue, type, payload, priority, attempt, max_attempts, crash_count, key, ${uniqueKey},
        run_at, created_at, reason, error, started_at, finished_at from hark.dead_jobs job, generate_series(${from}, ${to}) n where type = 'many' and n > 0
        and job.id = (select min(id) from hark.dead_jobs)`);
    await copies(1, 250, "'held'");
    await copies(251, 260, "null");

    const all = await hark(["dead", "requeue", "--all", "--json"]);

    expect(all.code).toBe(1);
    const { requeued, blocked } = JSON.parse(all.stdout) as { requeued: string[]; blocked: string[] };
    expect([requeued.length, blocked.length]).toEqual([11, 250]);
    expect(await count(pool, "hark.dead_jobs")).toBe(250);
  });
});

describe("hark work", { timeout: 180_000 }, () => {
  test("--once runs what is ready, and leaves what is due later", async ({ hark, db, writeModule }) => {
    const file = await writeModule("work.ts", jobsModule);
    const ids = [await insert(db, {}), await insert(db, {}), await insert(db, {})];
    const later = await insert(db, { delayMs: 3_600_000 });
    const stranger = await insert(db, { type: "nobodys" });

    const ended = await hark(["work", file, "--once", "--concurrency", "2", "--name", "hand"], { env: { SAY: "1" } });
    expect(ended).toMatchObject({ code: 0, stdout: "ran 3: 3 completed, 0 to be tried again, 0 dead, 0 other\n" });
    expect(ended.stderr).toMatch(/^waiting on queues default:2; LISTEN ok; 4 ready\n/);
    expect(ended.stderr).toMatch(/COUNTED 1/);
    for (const id of ids) expect(await getJob(db, id)).toMatchObject({ state: "completed" });
    expect(await getJob(db, later)).toMatchObject({ state: "scheduled" });
    expect(await getJob(db, stranger)).toMatchObject({ state: "ready", attempt: 0 });
  });

  test("--once answers 1 when an attempt failed, and its document says how many", async ({ hark, db, writeModule }) => {
    const file = await writeModule("failing.ts", jobsModule);
    for (const maxAttempts of [1, 2]) await insert(db, { type: "fail", maxAttempts });
    const ended = await hark(["work", file, "--once", "--json"]);
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toEqual({ completed: 0, retried: 1, dead: 1, other: 0 });
  });

  test("--queues works the queues it names and no other", async ({ hark, db, writeModule }) => {
    const file = await writeModule("lanes.ts", jobsModule);
    const named = await insert(db, { queue: "lane" });
    const other = await insert(db, {});
    const ended = await hark(["work", file, "--once", "--queues", "lane:3,second", "--concurrency", "7"]);
    expect(ended.stderr).toMatch(/^waiting on queues lane:3, second:7; /);
    expect(await getJob(db, named)).toMatchObject({ state: "completed" });
    expect(await getJob(db, other)).toMatchObject({ state: "ready" });
  });

  test("it runs until SIGTERM, which is 0, or SIGINT, which is 130, and leaves no lease behind", async ({
    databaseUrl,
    db,
    pool,
    writeModule,
  }) => {
    const file = await writeModule("service.ts", jobsModule);
    const signals = [
      ["SIGTERM", 0],
      ["SIGINT", 130],
    ] as const;
    const workers = signals.map(() => start(["work", file], { env: { DATABASE_URL: databaseUrl } }));
    for (const [place, [signal, code]] of signals.entries()) {
      const worker = workers[place]!;
      await eventually(() => worker.stderr().includes("worker started"), { withinMs: 30_000, what: "the start" });
      const id = await insert(db, {});
      await eventually(async () => (await getJob(db, id))?.state === "completed", {
        withinMs: 20_000,
        what: "the job",
      });
      worker.child.kill(signal);
      expect(await worker.ended).toMatchObject({ code, stdout: "" });
    }
    expect(await count(pool, "hark.workers")).toBe(0);
  });

  test.for([
    ["SIGTERM", 0, []],
    ["SIGTERM", 0, ["--once"]],
    ["SIGINT", 130, []],
    ["SIGINT", 130, ["--once"]],
  ] as const)(
    "a worker that is sent %s while it starts ends with %i and leaves no lease behind: hark work %j",
    async ([signal, code, flags], { databaseUrl, db, pool, writeModule }) => {
      const file = await writeModule("starting.ts", jobsModule);
      const job = await insert(db, {});
      const holder = await pool.connect();
      try {
        await holder.query("begin; lock table hark.workers in share mode"); // it may look, but not register
        const worker = start(["work", file, ...flags], { env: { DATABASE_URL: databaseUrl } });
        const waits = "select from pg_locks where relation = 'hark.workers'::regclass and not granted";
        await eventually(async () => (await pool.query(waits)).rowCount === 1, { withinMs: 30_000, what: "the start" });
        worker.child.kill(signal);
        await eventually(() => worker.stderr().includes("stopping"), { withinMs: 30_000, what: "the signal" });
        await holder.query("commit");
        expect(await worker.ended).toMatchObject({ code });
      } finally {
        await holder.query("rollback");
        holder.release();
      }
      expect(await count(pool, "hark.workers")).toBe(0);
      expect(["ready", "completed"]).toContain((await getJob(db, job))!.state);
    },
  );

  test("a module that cannot be worked is 2, and one line that names it", async ({ hark, writeModule }) => {
    const plain = jobsModule.replaceAll(/: (unknown|any)| as any/g, "");
    const wrong: [string, string, RegExp][] = [
      ["none.mjs", "export const a = 1, b = 2;", /none\.mjs exports no handlers: add .*It exports a, b\./],
      ["throws.mjs", "throw new Error('boom\\nat load');", /throws\.mjs could not be loaded: boom at load/],
      ["enum.ts", "export enum Colour { Red }", /enum\.ts could not be loaded: .*enums, namespaces/],
      ["options.mjs", `${plain} export const workerOptions = { lease: "1ms" };`, /lease: must be at least 1000 ms/],
    ];
    const files = await Promise.all(wrong.map(([name, source]) => writeModule(name, source)));
    const ended = await Promise.all([...files, "missing.mjs"].map((file) => hark(["work", file])));
    for (const [place, said] of [...wrong.map((each) => each[2]), /There is no file missing\.mjs/].entries()) {
      expect(ended[place]).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(said) as string });
      expect(ended[place]!.stderr).toMatch(/^hark: .*\n$/);
    }
  });

  test("without a schema, or a database, it is 4, or 3, in one line", async ({ emptyUrl, writeModule }) => {
    const file = await writeModule("early.ts", jobsModule);
    const [missing, unreachable] = await Promise.all(
      [emptyUrl, await closedUrl()].map((url) => run(["work", file], { env: { DATABASE_URL: url } })),
    );
    expect(missing).toMatchObject({ code: 4, stderr: expect.stringMatching(/^hark: .*"hark migrate".*\n$/) as string });
    expect(unreachable).toMatchObject({ code: 3, stderr: expect.stringMatching(/^hark: .*\n$/) as string });
  });

  test("through a transaction pooler alone it says that it polls, and still runs jobs", async ({
    databaseUrl,
    db,
    writeModule,
  }) => {
    await using pooler = await startPgBouncer(databaseUrl, { poolMode: "transaction" });
    await insert(db, {});
    const ended = await run(["work", await writeModule("pooled.ts", jobsModule), "--once"], {
      env: { DATABASE_URL: pooler.url },
    });
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("1 completed") as string });
    expect(ended.stderr).toMatch(/^waiting on queues default:10; polling, as LISTEN is silent/);
  });
});

interface Diagnosis {
  ok: boolean;
  checks: { name: string; status: string; message: string; advice?: string; facts?: Record<string, unknown> }[];
}

describe("hark doctor", { timeout: 180_000 }, () => {
  const diagnose = (stdout: string) => {
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    return { ...diagnosis, named: (name: string) => diagnosis.checks.find((check) => check.name === name)! };
  };

  test("a database in order fails no check, and the lines and the document say the same", async ({ hark }) => {
    const [lines, document] = await Promise.all([hark(["doctor"]), hark(["doctor", "--json"])]);
    expect(lines).toMatchObject({ code: 0, stderr: "" });
    expect(document).toMatchObject({ code: 0, stderr: "" });
    const { ok, checks, named } = diagnose(document.stdout);
    expect(ok).toBe(true);
    for (const { name, status } of checks) expect(lines.stdout).toMatch(new RegExp(`^${status} +${name} `, "m"));
    for (const name of [
      "node",
      "connection",
      "schema",
      "privileges",
      "LISTEN",
      "clock",
      "notification queue",
      "waiting jobs",
      "partitions",
    ]) {
      expect(named(name)).toMatchObject({ status: "ok" });
    }
    expect(named("workers")).toMatchObject({ status: "warn", advice: expect.stringContaining("hark work") as string });
  });

  test("through a transaction pooler LISTEN fails and says what to set; with HARK_LISTEN_URL it is in order", async ({
    databaseUrl,
    server,
  }) => {
    await using pooler = await startPgBouncer(databaseUrl, { poolMode: "transaction" });
    const ask = (listenUrl: string) =>
      run(["doctor", "--json"], { env: { DATABASE_URL: pooler.url, HARK_LISTEN_URL: listenUrl } });
    const [alone, direct] = await Promise.all([ask(""), ask(databaseUrl)]);
    expect(alone.code).toBe(1);
    expect(diagnose(alone.stdout).named("LISTEN")).toMatchObject({
      status: "fail",
      message: expect.stringContaining("transaction pooler") as string,
      advice: expect.stringContaining("Set HARK_LISTEN_URL") as string,
    });
    expect(direct.code).toBe(0);
    expect(diagnose(direct.stdout).named("HARK_LISTEN_URL")).toMatchObject({ status: "ok", facts: { isHeard: true } });

    for (const ended of await Promise.all([pooler.url, await server.createDatabase(), await closedUrl()].map(ask))) {
      expect(ended.code).toBe(1);
      expect(diagnose(ended.stdout).named("HARK_LISTEN_URL").status).toBe("fail");
      expect(ended.stdout).not.toContain("hunter2");
    }
  });

  test("without a schema it fails and skips what needs one; without a database it skips nearly all, and is 3", async ({
    emptyUrl,
  }) => {
    const empty = await run(["doctor", "--json"], { env: { DATABASE_URL: emptyUrl } });
    expect(empty.code).toBe(1);
    const { named } = diagnose(empty.stdout);
    expect(named("schema")).toMatchObject({
      status: "fail",
      advice: expect.stringContaining("hark migrate") as string,
    });
    expect(named("workers").status).toBe("skipped");

    const unreachable = await run(["doctor", "--json"], { env: { DATABASE_URL: await closedUrl() } });
    expect(unreachable.code).toBe(3);
    expect(diagnose(unreachable.stdout).checks.map(({ status }) => status)).toEqual([
      "ok",
      "fail",
      ...Array.from({ length: 12 }, () => "skipped"),
    ]);
  });

  test("rights that a role lacks are named, by what it cannot do without them", async ({ databaseUrl, pool }) => {
    const role = `hark_cli_${crypto.randomUUID().slice(0, 8)}`;
    await pool.query(`create role ${role} login password 'pw'`);
    try {
      const url = new URL(databaseUrl);
      url.username = role;
      url.password = "pw";
      const ask = async () => {
        const ended = await run(["doctor", "--json"], { env: { DATABASE_URL: url.href } });
        return { code: ended.code, privileges: diagnose(ended.stdout).named("privileges") };
      };
      expect(await ask()).toMatchObject({
        code: 1,
        privileges: { status: "fail", message: "missing: usage on schema hark" },
      });

      await pool.query(`grant usage on schema hark to ${role}`);
      await pool.query(`grant execute on function hark.insert_jobs to ${role}`);
      expect((await ask()).privileges).toMatchObject({
        status: "warn",
        message: expect.stringMatching(/may enqueue but not work; missing: .*update.* on hark\.jobs/) as string,
      });
      // A producer needs no more than that to enqueue from here.
      const env = { DATABASE_URL: url.href };
      const [enqueued, denied] = await Promise.all([run(["enqueue", "count", "1"], { env }), run(["stats"], { env })]);
      expect(enqueued).toMatchObject({ code: 0, stderr: "" });
      expect(denied).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^hark: permission denied .*"hark doctor".*\n$/) as string,
      });

      await pool.query(`grant select, insert, update, delete on all tables in schema hark to ${role}`);
      await pool.query(`grant usage on all sequences in schema hark to ${role}`);
      await pool.query(`grant execute on all functions in schema hark to ${role}`);
      expect((await ask()).privileges.status).toBe("ok");
    } finally {
      await pool.query(`drop owned by ${role}`);
      await pool.query(`drop role ${role}`);
    }
  });

  test("jobs that nobody claims, and history without its partition, are warned about", async ({ hark, db, pool }) => {
    await register(db);
    await insert(db, { type: "lonely", queue: "unserved" });
    await insert(db, { type: "strange" });
    await pool.query("update hark.jobs set run_at = now() - interval '1 min', created_at = now() - interval '1 min'");
    await pool.query(`insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count,
                        run_at, created_at, state, finished_at)
                      values (1, 'q', 't', '{}', 0, 1, 1, 0, now(), now(), 'completed', '2001-01-01')`);
    const ended = await hark(["doctor", "--json"]);
    expect(ended.code).toBe(0);
    const { named } = diagnose(ended.stdout);
    expect(named("workers")).toMatchObject({ status: "ok", facts: { live: 1 } });
    expect(named("waiting jobs")).toMatchObject({
      status: "warn",
      message: expect.stringMatching(/1 of lonely in unserved .*; 1 of strange in default/) as string,
      advice: expect.stringMatching(/No live worker is on queue unserved.* have no handler for strange/) as string,
    });
    expect(named("partitions")).toMatchObject({ status: "warn", facts: { finishedJobs: 1 } });
  });
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}

async function count(pool: pg.Pool, table: string): Promise<number> {
  return Number((await pool.query<{ count: string }>(`select count(*) from ${table}`)).rows[0]!.count);
}
