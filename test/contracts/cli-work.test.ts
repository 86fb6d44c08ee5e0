import { getJob } from "@hark/core";
import { describe, expect } from "vitest";
import { closedUrl, count, insert, jobsModule, run, start, test } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";

describe("hark work", { timeout: 180_000 }, () => {
  test("--once runs ready jobs, and leaves those that are due later", async ({ hark, db, writeModule }) => {
    const file = await writeModule("work.ts", jobsModule);
    const ids = [await insert(db, {}), await insert(db, {}), await insert(db, {})];
    const later = await insert(db, { delayMs: 3_600_000 });
    const stranger = await insert(db, { type: "nobodys" });

    const ended = await hark(["work", file, "--once", "--concurrency", "2", "--name", "hand"], { env: { SAY: "1" } });
    expect(ended).toMatchObject({ code: 0, stdout: "ran 3: 3 completed, 0 to be retried, 0 dead, 0 other\n" });
    expect(ended.stderr).toMatch(/^working on queues default:2; LISTEN ok; 4 ready\n/);
    expect(ended.stderr).toMatch(/COUNTED 1/);
    for (const id of ids) expect(await getJob(db, id)).toMatchObject({ state: "completed" });
    expect(await getJob(db, later)).toMatchObject({ state: "scheduled" });
    expect(await getJob(db, stranger)).toMatchObject({ state: "ready", attempt: 0 });
  });

  test("--once exits with 1 if an attempt failed, and its document says how many", async ({
    hark,
    db,
    writeModule,
  }) => {
    const file = await writeModule("failing.ts", jobsModule);
    for (const maxAttempts of [1, 2]) await insert(db, { type: "fail", maxAttempts });
    const ended = await hark(["work", file, "--once", "--json"]);
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toEqual({ completed: 0, retried: 1, dead: 1, other: 0 });
  });

  test("--queues works on the named queues only", async ({ hark, db, writeModule }) => {
    const file = await writeModule("lanes.ts", jobsModule);
    const named = await insert(db, { queue: "lane" });
    const other = await insert(db, {});
    const ended = await hark(["work", file, "--once", "--queues", "lane:3,second", "--concurrency", "7"]);
    expect(ended.stderr).toMatch(/^working on queues lane:3, second:7; /);
    expect(await getJob(db, named)).toMatchObject({ state: "completed" });
    expect(await getJob(db, other)).toMatchObject({ state: "ready" });
  });

  test(
    "`hark work` ends with exit code 0 if SIGTERM comes before its module has loaded",
    { tags: ["FM-74"] },
    async ({ writeModule, databaseUrl }) => {
      const file = await writeModule(
        "slow.mjs",
        `console.error("loading"); await new Promise((go) => setTimeout(go, 60_000));`,
      );
      const worker = start(["work", file], { env: { DATABASE_URL: databaseUrl } });
      await eventually(() => worker.stderr().includes("loading"), { withinMs: 30_000, what: "the module" });
      worker.child.kill("SIGTERM");
      expect((await worker.ended).code).toBe(0);
    },
  );

  test("it runs until SIGTERM (exit code 0) or SIGINT (130), and leaves no lease behind", async ({
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
        await holder.query("begin; lock table hark.workers in share mode"); // it may read, but not register
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

  test("an unusable module exits with 2, and one line that names it", async ({ hark, writeModule }) => {
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

  test("without a schema it exits with 4, without a database with 3, in one line", async ({
    emptyUrl,
    writeModule,
  }) => {
    const file = await writeModule("early.ts", jobsModule);
    const [missing, unreachable] = await Promise.all(
      [emptyUrl, await closedUrl()].map((url) => run(["work", file], { env: { DATABASE_URL: url } })),
    );
    expect(missing).toMatchObject({ code: 4, stderr: expect.stringMatching(/^hark: .*"hark migrate".*\n$/) as string });
    expect(unreachable).toMatchObject({ code: 3, stderr: expect.stringMatching(/^hark: .*\n$/) as string });
  });

  test(
    "through a transaction pooler alone it reports that it polls, and still runs jobs",
    { tags: ["FM-04"] },
    async ({ databaseUrl, db, writeModule }) => {
      await using pooler = await startPgBouncer(databaseUrl, { poolMode: "transaction" });
      await insert(db, {});
      const ended = await run(["work", await writeModule("pooled.ts", jobsModule), "--once"], {
        env: { DATABASE_URL: pooler.url },
      });
      expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("1 completed") as string });
      expect(ended.stderr).toMatch(/^working on queues default:10; polling, as no notifications arrive/);
    },
  );
});
