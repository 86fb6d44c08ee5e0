import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { checkSchema, getJob, migrate, openDatabase, schemaVersion } from "@hark/core";
import { createProducer, defineJob } from "@hark/producer";
import { describe, expect } from "vitest";
import { query, run } from "../support/command.ts";
import { type LogIn, test as base } from "../support/logins.ts";

/*
 * What those who run the database meet: rights that are missing, schemas made by others, roles that
 * read little. Each gets an answer that says what to do next.
 */

interface Diagnosis {
  code: number | null;
  named(name: string): { status: string; message: string; advice?: string };
  failed: string[];
}

async function doctor(url: string): Promise<Diagnosis> {
  const { code, stdout } = await run(["doctor", "--json"], { env: { DATABASE_URL: url } });
  const { checks } = JSON.parse(stdout) as {
    checks: { name: string; status: string; message: string; advice?: string }[];
  };
  return {
    code,
    named: (name) => checks.find((check) => check.name === name)!,
    failed: checks.filter(({ status }) => status === "fail").map(({ name }) => name),
  };
}

/** A login without any role or right, and a database without Hark's schema. */
const test = base.extend("bare", async ({ server, pool }, { onCleanup }) => {
  const url = await server.createDatabase();
  const name = `hark_bare_${crypto.randomUUID().slice(0, 8)}`;
  await pool.query(`create role ${name} login password 'pw'`);
  onCleanup(async () => {
    await query(url, `drop owned by ${name} cascade`);
    await pool.query(`drop role ${name}`);
  });
  const as = (login: string) => Object.assign(new URL(login), { username: name, password: "pw" }).href;
  return { name, adminUrl: url, url: as(url), as };
});

describe("a login that may not make schemas", () => {
  test("is told by doctor and by migrate which statement an administrator runs, and then migrates", async ({
    bare,
  }) => {
    const remedy = `create schema hark authorization ${bare.name};`;
    const diagnosis = await doctor(bare.url);
    expect(diagnosis.named("schema").advice).toContain(remedy);
    const refused = await run(["migrate"], { env: { DATABASE_URL: bare.url } });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(remedy) as string });
    expect(refused.stderr).not.toContain("hark doctor");
    await expect(migrate({ connectionString: bare.url })).rejects.toMatchObject({ code: "MIGRATION_FORBIDDEN" });

    await query(bare.adminUrl, remedy);
    expect((await migrate({ connectionString: bare.url })).length).toBeGreaterThan(0);
    expect(await migrate({ connectionString: bare.url })).toEqual([]);
  });

  test("upgrades its own schema after the right to make schemas was taken away", async ({ bare }) => {
    const database = new URL(bare.adminUrl).pathname.slice(1);
    await query(bare.adminUrl, `grant create on database ${database} to ${bare.name}`);
    await migrate({ connectionString: bare.url });
    await query(bare.adminUrl, `revoke create on database ${database} from ${bare.name}`);
    // Something is pending again, and fails on its own tables and not for want of a right.
    await query(
      bare.adminUrl,
      "delete from hark.migrations where version = (select max(version) from hark.migrations)",
    );
    const failed = await migrate({ connectionString: bare.url }).catch((error: unknown) => error as { code: string });
    expect((failed as { code: string }).code).toMatch(/^42(P07|710|723)$/);
  });

  test("that does not own Hark's tables is told who does", async ({ bare }) => {
    await migrate({ connectionString: bare.adminUrl });
    await query(bare.adminUrl, `grant usage, create on schema hark to ${bare.name}`);
    await query(bare.adminUrl, `grant select on hark.migrations to ${bare.name}`);
    await query(
      bare.adminUrl,
      "delete from hark.migrations where version = (select max(version) from hark.migrations)",
    );
    await expect(migrate({ connectionString: bare.url })).rejects.toMatchObject({
      code: "MIGRATION_FORBIDDEN",
      message: expect.stringMatching(
        /the ownership of Hark's tables, which \w+ has.*grant \w+ to hark_bare_/,
      ) as string,
    });
  });
});

test("a schema restored from a dump without data is recognised, with the way out", async ({ databaseUrl, bare }) => {
  const dump = await promisify(execFile)("pg_dump", [
    "--schema-only",
    "--schema=hark",
    "--no-owner",
    databaseUrl,
  ]).catch(
    () => undefined, // pg_dump of another major version, or none
  );
  if (dump === undefined) {
    await query(bare.adminUrl, "create schema hark; create table hark.migrations (version int, name text, hash text)");
    await query(bare.adminUrl, "create table hark.jobs (id int)");
  } else await query(bare.adminUrl, dump.stdout.replaceAll(/^\\.*$/gm, ""));

  await expect(migrate({ connectionString: bare.adminUrl })).rejects.toMatchObject({ code: "SCHEMA_WITHOUT_LEDGER" });
  await expect(schemaVersion(bare.adminUrl)).rejects.toMatchObject({ code: "SCHEMA_WITHOUT_LEDGER" });
  expect(await run(["migrate"], { env: { DATABASE_URL: bare.adminUrl } })).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(/drop schema hark cascade.*pg_dump --data-only --table=hark\.migrations/) as string,
  });
  expect((await doctor(bare.adminUrl)).named("schema")).toMatchObject({
    status: "fail",
    message: expect.stringContaining("its ledger hark.migrations is empty") as string,
    advice: expect.stringContaining("drop schema hark cascade") as string,
  });
  await query(bare.adminUrl, "drop schema hark cascade");
  expect((await migrate({ connectionString: bare.adminUrl })).length).toBeGreaterThan(0);
});

describe("roles", () => {
  const rolesOf: [role: Parameters<LogIn>[0], says: RegExp][] = [
    ["hark_producer", /may enqueue, and not work/],
    ["hark_worker", /may work but not enqueue/],
  ];
  test.for(rolesOf)("doctor finds nothing wrong with a login in %s", async ([role, says], { logIn }) => {
    const { url } = await logIn(role);
    const diagnosis = await doctor(url);
    expect([diagnosis.code, diagnosis.failed]).toEqual([0, []]);
    expect(diagnosis.named("privileges").message).toMatch(says);
  });

  test("a login in hark_reader lists dead letters and looks at jobs, without payloads", async ({
    logIn,
    pool,
    databaseUrl,
  }) => {
    await using producer = createProducer({ connectionString: databaseUrl });
    const { id } = await producer.enqueue(defineJob("read.me"), { secret: "4111" });
    await pool.query(`insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at,
                        created_at, reason, error, started_at, finished_at)
                      values (77, 'default', 'read.dead', '{"secret": "4111"}', 0, 3, 3, 0, now(), now(), 'attempts_exhausted',
                        'Error: no', now(), now())`);
    const { url } = await logIn("hark_reader");
    const env = { DATABASE_URL: url };
    expect(await run(["dead", "list"], { env })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/77 .*read\.dead .*Error: no/) as string,
      stderr: "",
    });
    const document = await run(["dead", "list", "--json"], { env });
    expect(document.code).toBe(0);
    expect(document.stderr).toContain("may not read payloads");
    expect(JSON.parse(document.stdout)).toMatchObject({ jobs: [{ id: "77", payload: null }] });

    const db = openDatabase({ connectionString: url });
    try {
      expect(await getJob(db, id, { withPayload: false })).toMatchObject({ state: "ready", payload: null });
      expect(await getJob(db, 77n, { withPayload: false })).toMatchObject({
        state: "dead",
        reason: "attempts_exhausted",
      });
    } finally {
      await db.close();
    }
  });

  test("row level security without policies is found by doctor, and keeps a worker from starting", async ({
    logIn,
    pool,
    databaseUrl,
  }) => {
    const { url } = await logIn("hark_worker", "hark_producer");
    await pool.query("alter table hark.jobs enable row level security");
    try {
      expect((await doctor(url)).named("row security")).toMatchObject({
        status: "fail",
        message: expect.stringContaining("hark.jobs") as string,
        advice: expect.stringContaining("alter table hark.jobs disable row level security") as string,
      });
      await expect(checkSchema(url)).rejects.toMatchObject({ code: "ROWS_HIDDEN", facts: { tables: ["jobs"] } });
      await checkSchema(databaseUrl); // the owner sees all rows
      await pool.query("create policy all_rows on hark.jobs using (true)");
      await checkSchema(url);
    } finally {
      await pool.query("drop policy if exists all_rows on hark.jobs");
      await pool.query("alter table hark.jobs disable row level security");
    }
  });
});
