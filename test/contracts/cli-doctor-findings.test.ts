import { defineJob } from "@hark/core";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import { run } from "../support/command.ts";
import { test } from "../support/logins.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { recordingLogger } from "../support/recording-logger.ts";

/* What other people's settings and copies make of Hark's database, and the doctor says. */

interface Finding {
  name: string;
  status: string;
  message: string;
  advice?: string;
  facts?: Record<string, unknown>;
}

/** The finding of this name, and whether the doctor found no failure. */
async function diagnose(url: string, name: string, env: Record<string, string> = {}): Promise<Finding> {
  const { stdout } = await run(["doctor", "--json"], { env: { DATABASE_URL: url, ...env } });
  return (JSON.parse(stdout) as { checks: Finding[] }).checks.find((check) => check.name === name)!;
}

test(
  "settings that a pooler ignores are named by the doctor, and once by the worker",
  { tags: ["FM-80"] },
  async ({ databaseUrl, queue }) => {
    expect(await diagnose(databaseUrl, "session settings")).toMatchObject({ status: "ok" });
    await using pooler = await startPgBouncer(databaseUrl, { poolMode: "session", ignoresOptions: true });
    const finding = await diagnose(pooler.url, "session settings");
    expect(finding).toMatchObject({ status: "warn", advice: expect.stringContaining("alter role") as string });
    expect(finding.facts).toEqual({
      missing: expect.arrayContaining(["enable_seqscan", "jit", "lock_timeout", "plan_cache_mode"]) as string[],
    });
    expect(finding.facts?.missing).not.toContain("datestyle"); // the default there is what Hark needs

    const warnings = async (connectionString: string) => {
      const logger = recordingLogger();
      const handlers = [implement(defineJob("test.plain", { queue }), () => {})];
      const worker = createWorker({ connectionString, logger, handlers, queues: { [queue]: 1 } });
      await worker.start();
      await worker.whenListening(AbortSignal.timeout(60_000));
      await worker.stop("now");
      return logger.lines.filter(({ message }) => message.includes("lack settings"));
    };
    expect(await warnings(databaseUrl)).toEqual([]);
    const told = await warnings(pooler.url);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ level: "warn", facts: finding.facts });
  },
);

test(
  "a table that a publication covers without replica identity is named, with what to run",
  { tags: ["FM-84"] },
  async ({ databaseUrl, pool }) => {
    await pool.query("create publication of_all for all tables");
    try {
      expect(await diagnose(databaseUrl, "publications")).toMatchObject({ status: "ok" });
      await pool.query("alter table hark.stats replica identity nothing");
      const finding = await diagnose(databaseUrl, "publications");
      expect(finding).toMatchObject({
        status: "fail",
        message: expect.stringContaining("publication of_all") as string,
        facts: { tables: [{ table: "stats", publications: ["of_all"] }] },
      });
      await pool.query(/alter table hark\.\w+ replica identity full;/.exec(finding.advice!)![0]);
      expect(await diagnose(databaseUrl, "publications")).toMatchObject({ status: "ok" });
      const partition = (
        await pool.query<{ name: string }>(
          "select min(inhrelid::regclass::text) as name from pg_inherits where inhparent = 'hark.attempts'::regclass",
        )
      ).rows[0]!.name;
      await pool.query(`alter table ${partition} replica identity default`);
      expect(await diagnose(databaseUrl, "publications")).toMatchObject({
        status: "fail",
        facts: { tables: [{ table: partition.replace("hark.", "") }] },
      });
      await pool.query(`alter table ${partition} replica identity full`);
    } finally {
      await pool.query("drop publication of_all");
    }
  },
);

test(
  "a sequence of ids behind the tables gives a warning whose advice mends it",
  { tags: ["FM-83"] },
  async ({ databaseUrl, pool, logIn }) => {
    expect(await diagnose(databaseUrl, "ids")).toMatchObject({ status: "ok" });
    await pool.query(`insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at,
                                                reason, error, started_at, finished_at)
                    values (777777, 'q', 't', '{}', 0, 3, 3, 0, now(), now(), 'unrecoverable', 'as told', now(), now())`);
    const finding = await diagnose(databaseUrl, "ids");
    expect(finding).toMatchObject({ status: "warn", facts: { greatest: "777777" } });
    await pool.query(/select hark\.advance_ids\(\)/.exec(finding.advice!)![0]);
    expect(await diagnose(databaseUrl, "ids")).toMatchObject({ status: "ok" });
    await pool.query("delete from hark.dead_jobs where id = 777777");

    const reader = await logIn("hark_reader");
    expect(await diagnose(reader.url, "ids")).toMatchObject({ status: "ok" });
  },
);

test("event triggers that see the tables of upkeep are named", async ({ databaseUrl, pool }) => {
  expect(await diagnose(databaseUrl, "event triggers")).toMatchObject({
    status: "ok",
    message: expect.stringMatching(/^none/) as string,
  });
  await pool.query(`create function public.watch_tables() returns event_trigger language plpgsql as $$ begin end $$;
                    create event trigger audit_tables on ddl_command_end when tag in ('CREATE TABLE') execute function public.watch_tables();
                    create event trigger audit_views on ddl_command_end when tag in ('CREATE VIEW') execute function public.watch_tables()`);
  try {
    expect(await diagnose(databaseUrl, "event triggers")).toMatchObject({
      status: "ok",
      facts: { triggers: ["audit_tables"] },
    });
  } finally {
    await pool.query(
      "drop event trigger audit_tables; drop event trigger audit_views; drop function public.watch_tables()",
    );
  }
});

test("a healthy login of a producer, of a reader and of a worker fails no check", async ({ logIn }) => {
  for (const role of ["hark_producer", "hark_reader", "hark_worker", "hark_admin"] as const) {
    const { url } = await logIn(role);
    const { code, stdout, stderr } = await run(["doctor", "--json"], { env: { DATABASE_URL: url } });
    const { checks } = JSON.parse(stdout) as { checks: Finding[] };
    expect(
      checks.filter(({ status }) => status === "fail"),
      role,
    ).toEqual([]);
    expect({ code, stderr }, role).toEqual({ code: 0, stderr: "" });
  }
});
