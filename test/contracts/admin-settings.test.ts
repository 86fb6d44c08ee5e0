// @module-tag FM-61
import {
  borrowPool,
  countSlots,
  type Database,
  deleteDeadJob,
  getJob,
  getStats,
  listDeadJobs,
  listOldSnapshots,
  listSchedules,
  requeueDeadJob,
  silentLogger,
} from "@hark/core";
import { countPrunable, deadJobIdAt, deadJobIdsAfter } from "@hark/core/internal";
import { startServer } from "@hark/job-manager";
import pg from "pg";
import { describe, expect } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { run } from "../support/command.ts";
import { call } from "../support/http.ts";

/*
 * What people are shown of jobs does not depend on how an application reads types, nor on how a
 * session writes dates.
 */

const diedAt = "2026-03-04T05:06:07.891Z";
const bigId = 2n ** 53n + 1n;

/** Inserts a dead letter and all else that the functions read. */
const fill = `
  insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at,
                              created_at, reason, error, started_at, finished_at)
  values (${bigId}, 'default', 'product', '{"target_url": "https://shop.example/1", "metadata": {"n": 1, "is": true}}', 3, 2, 2, 0,
          null, null, '${diedAt}', '${diedAt}', 'failed', 'Error: no stock', '${diedAt}', '${diedAt}'),
         (7, 'default', 'product', 'null', 3, 2, 2, 0, null, null, '${diedAt}', 'infinity', 'failed', 'Error: odd', '${diedAt}', 'infinity');
  insert into hark.stats (queue, dead) values ('default', 2);
  insert into hark.attempts (job_id, queue, type, attempt, ending, error, started_at, finished_at)
  values (${bigId}, 'default', 'product', 2, 'failed', 'Error: no stock', '${diedAt}', '${diedAt}');
  insert into hark.schedules (name, cron, zone, missed, queue, type, payload, priority, max_attempts, revision, next_at, changed_at)
  values ('nightly', '0 3 * * *', 'UTC', 'once', 'default', 'product', 'null', 0, 3, 1, '${diedAt}', '${diedAt}');`;

/** The file's sessions, once the rows are there. */
const test = base.extend("filled", { scope: "file" }, async ({ pool }) => {
  await pool.query(fill);
  return pool;
});

const names: (keyof typeof pg.types.builtins)[] = [
  "BOOL",
  "INT8",
  "INT4",
  "INT2",
  "FLOAT8",
  "NUMERIC",
  "JSON",
  "JSONB",
  "TIMESTAMPTZ",
  "UUID",
  "TEXT",
  "VARCHAR",
];
/** Arrays of text, json and int8. */
const arrays = [1009, 199, 1016];

/** Does `work` while pg reads all those types in a way of its own. */
async function withParsers(parse: (text: string) => unknown, work: () => Promise<void>): Promise<void> {
  const ids = [...names.map((name) => pg.types.builtins[name]), ...(arrays as never[])];
  const before = ids.map((id) => pg.types.getTypeParser(id));
  for (const id of ids) pg.types.setTypeParser(id, parse);
  try {
    await work();
  } finally {
    ids.forEach((id, place) => pg.types.setTypeParser(id, before[place]));
  }
}

async function checkAll(db: Database): Promise<void> {
  const dead = {
    id: bigId,
    type: "product",
    payload: { target_url: "https://shop.example/1", metadata: { n: 1, is: true } },
    attempt: 2,
    maxAttempts: 2,
    createdAt: new Date(diedAt),
    runAt: new Date(diedAt),
    startedAt: new Date(diedAt),
    finishedAt: new Date(diedAt),
  };
  const [first, odd] = await listDeadJobs(db);
  expect(first).toMatchObject(dead);
  expect(odd!.finishedAt.toISOString()).toMatch(/^\+275760/); // written by hand as "infinity"
  expect(await getJob(db, bigId)).toMatchObject({
    ...dead,
    state: "dead",
    attempts: [
      { jobId: bigId, attempt: 2, ending: "failed", finishedAt: new Date(diedAt), retryAt: null, worker: null },
    ],
  });
  expect(await getStats(db)).toMatchObject({ queued: 0, failed: 2, isEstimated: false, states: { dead: 2 } });
  expect(await countSlots(db)).toBe(0);
  expect(await countPrunable(db, { olderThan: 0 })).toBe(1);
  expect(await deadJobIdAt(db, 0)).toBe(bigId);
  expect(await deadJobIdsAfter(db, { after: 7n, limit: 5 })).toEqual([bigId]);
  const [schedule] = await listSchedules(db);
  expect(schedule).toMatchObject({
    name: "nightly",
    revision: 1,
    nextAt: new Date(diedAt),
    everyMs: null,
    lastTickAt: null,
  });
  expect(schedule!.lateMs).toBeGreaterThan(0);
  expect(await listOldSnapshots(db)).toEqual([]);
}

async function checkRoutes(database: Database): Promise<void> {
  await using server = await startServer({ database, port: 0, logger: silentLogger });
  const { status, body } = await call(`${server.url}/api/queue/dead-letter`);
  expect(status).toBe(200);
  expect(body.data[0]).toMatchObject({
    id: String(bigId),
    failed_at: diedAt,
    attempts: 2,
    metadata: { n: 1, is: true },
  });
  expect((await call(`${server.url}/api/queue/stats`)).body.data).toMatchObject({ queue: { failed: 2 } });
  expect((await call(`${server.url}/readyz`)).status).toBe(200);
}

describe("type parsers that an application has set for all of pg change nothing", () => {
  test.for<[string, (text: string) => unknown]>([
    ["text as it comes", (text) => text],
    ["everything a number", (text) => Number(text)],
    ["everything null", () => null],
    ["objects of a library's own", (text) => ({ text })],
  ])("%s", async ([, parse], { filled: pool }) => {
    await withParsers(parse, async () => {
      await checkAll(borrowPool(pool));
      await checkRoutes(borrowPool(pool));
    });
  });
});

describe("sessions that write dates in another way change nothing", () => {
  test.for(["German", "SQL, DMY", "Postgres, MDY"])("%s", async (style, { databaseUrl, filled }) => {
    const set = `-c datestyle=${style.replaceAll(" ", "\\ ")} -c timezone=Asia/Kolkata -c intervalstyle=sql_standard -c extra_float_digits=-4`;
    const pool = new pg.Pool({ connectionString: databaseUrl, options: set });
    try {
      expect((await filled.query("select from hark.dead_jobs")).rowCount).toBe(2);
      await checkAll(borrowPool(pool));
      await checkRoutes(borrowPool(pool));
    } finally {
      await pool.end();
    }
  });

  test("as the database's default, for the command line", async ({ filled: pool, databaseUrl }) => {
    const name = new URL(databaseUrl).pathname.slice(1);
    await pool.query(`alter database "${name}" set datestyle = 'German'`);
    const env = { DATABASE_URL: databaseUrl };
    const listed = await run(["dead", "list", "--json"], { env });
    expect(listed).toMatchObject({ code: 0 });
    expect(listed.stdout).toContain(diedAt);
    for (const args of [["dead", "list"], ["stats"], ["schedule", "list"], ["doctor"]])
      expect(await run(args, { env }), args.join(" ")).toMatchObject({ stderr: "" });
    await pool.query(`alter database "${name}" reset datestyle`);
  });
});

test("a dead letter is requeued and deleted whatever the parsers are", async ({ filled: pool }) => {
  const db = borrowPool(pool);
  await withParsers(
    (text) => text,
    async () => {
      expect(await deleteDeadJob(db, 7n)).toMatchObject({ id: 7n });
      expect(await requeueDeadJob(db, bigId)).toMatchObject({ id: bigId, type: "product" });
    },
  );
});
