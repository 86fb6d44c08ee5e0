import pg from "pg";
import { describe, expect } from "vitest";
import { closedUrl, insert, register, run, test } from "../support/command.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";

interface Diagnosis {
  ok: boolean;
  checks: { name: string; status: string; message: string; advice?: string; facts?: Record<string, unknown> }[];
}

describe("hark doctor", { timeout: 180_000 }, () => {
  const diagnose = (stdout: string) => {
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    return { ...diagnosis, named: (name: string) => diagnosis.checks.find((check) => check.name === name)! };
  };

  test(
    "a healthy database fails no check, and the lines and the document agree",
    { tags: ["FM-10"] },
    async ({ hark }) => {
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
      expect(named("workers")).toMatchObject({
        status: "warn",
        advice: expect.stringContaining("hark work") as string,
      });
    },
  );

  test("a stranger who holds a lock of Hark's is named", { tags: ["SEC-50"] }, async ({ hark, databaseUrl }) => {
    const stranger = new pg.Client({ connectionString: databaseUrl, application_name: "a stranger" });
    await stranger.connect();
    try {
      await stranger.query("select pg_advisory_lock(1751216747, 42)");
      const { stdout } = await hark(["doctor", "--json"]);
      expect(diagnose(stdout).named("advisory locks")).toMatchObject({
        status: "warn",
        message: expect.stringContaining('application "a stranger": 1') as string,
        advice: expect.stringContaining("pg_terminate_backend") as string,
      });
    } finally {
      await stranger.end();
    }
  });

  test(
    "through a transaction pooler LISTEN fails and the advice says what to set; with HARK_LISTEN_URL it passes",
    { tags: ["FM-04"] },
    async ({ databaseUrl, server }) => {
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
      expect(diagnose(direct.stdout).named("HARK_LISTEN_URL")).toMatchObject({
        status: "ok",
        facts: { isHeard: true },
      });

      for (const ended of await Promise.all([pooler.url, await server.createDatabase(), await closedUrl()].map(ask))) {
        expect(ended.code).toBe(1);
        expect(diagnose(ended.stdout).named("HARK_LISTEN_URL").status).toBe("fail");
        expect(ended.stdout).not.toContain("hunter2");
      }
    },
  );

  test("without a schema it fails and skips the checks that need one; without a database it skips nearly all and exits with 3", async ({
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
      ...Array.from({ length: 18 }, () => "skipped"),
    ]);
  });

  test("missing rights of a role are named, with what it cannot do without them", async ({ databaseUrl, pool }) => {
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
        status: "ok",
        message: "this role may enqueue, and not work",
      });
      await pool.query(`grant select on hark.jobs to ${role}`);
      expect((await ask()).privileges).toMatchObject({
        status: "warn",
        message: expect.stringMatching(/may enqueue but not work; missing: .*update.* on hark\.jobs/) as string,
      });
      // A producer needs no more rights than these to enqueue from here.
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

  test("unclaimed jobs and history without its partition cause warnings", async ({ hark, db, pool }) => {
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
      advice: expect.stringMatching(/No live worker serves queue unserved.* have no handler for strange/) as string,
    });
    expect(named("partitions")).toMatchObject({ status: "warn", facts: { finishedJobs: 1 } });
  });
});
