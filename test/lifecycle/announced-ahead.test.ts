import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import pg from "pg";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { insertJob, untilState } from "../support/jobs.ts";

const job = (queue: string) => implement(defineJob("test.plain", { queue }), () => {});

test("a scheduled job is announced only if no other announcement or poll would find it in time", async ({
  db,
  databaseUrl,
  queue,
}) => {
  const heard: string[] = [];
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("notification", ({ channel, payload }) => heard.push(`${channel} ${payload}`));
  await client.connect();
  try {
    await client.query("listen job_scheduled; listen flushed");
    const announced = async (delayMs: number): Promise<boolean> => {
      heard.length = 0;
      await insertJob(db, { queue, delayMs });
      await db.pool.query("notify flushed");
      await eventually(() => heard.includes("flushed "), { withinMs: 30_000, what: "the later notification" });
      return heard.length === 2;
    };

    expect(await announced(3_600_000)).toBe(false); // a poll finds it before it is due
    expect(await announced(60_500)).toBe(false);
    expect(await announced(50_000)).toBe(true);
    expect(await announced(50_500)).toBe(false); // the worker that promotes the one at 50 s finds the next
    expect(await announced(8_000)).toBe(true); // earlier than all
    expect(await announced(600)).toBe(true);
    expect(await announced(700)).toBe(true); // the one at 600 ms may be over before this commits
  } finally {
    await client.end();
  }
});

test("an uncommitted job does not replace the announcement of a later one", async ({ db, databaseUrl, queue }) => {
  await db.pool.query("delete from hark.jobs");
  const [undone, client] = [await db.pool.connect(), new pg.Client({ connectionString: databaseUrl })];
  const heard: string[] = [];
  client.on("notification", ({ payload = "" }) => heard.push(payload));
  await client.connect();
  try {
    await client.query("listen job_scheduled");
    await undone.query("begin");
    await insertJob(undone, { queue, delayMs: 5_000 });
    await insertJob(db, { queue, delayMs: 7_000 }); // the other is not committed, so it announces nothing
    await undone.query("rollback");
    await eventually(() => heard.length === 1, { withinMs: 30_000, what: "the notification" });
  } finally {
    undone.release();
    await client.end();
  }
});

test("the trigger searches for other jobs by an index, even if it was planned on an empty table", async ({
  db,
  queue,
}) => {
  await db.pool.query("delete from hark.jobs");
  await db.pool.query("analyze hark.jobs");
  const client = await db.pool.connect();
  try {
    const scans = async () => {
      const { rows } = await client.query("select seq_scan from pg_stat_xact_user_tables where relname = 'jobs'");
      return Number(rows[0]?.seq_scan ?? 0);
    };
    await client.query("begin");
    const before = await scans(); // includes scans of the session that are not reported yet
    for (let n = 0; n < 10; n += 1) await insertJob(client, { queue, delayMs: 9_000 - n });
    expect(await scans()).toBe(before);
  } finally {
    client.release(true); // ends its transaction too
  }
});

test("unannounced jobs start when they are due, whatever the interval", async ({ db, queue, startWorker }) => {
  await db.pool.query("delete from hark.jobs");
  await startWorker([job(queue)], { pollInterval: "10m", promoteInterval: "10m" });
  const announced = await insertJob(db, { queue, delayMs: 1_500 });
  const behind = [await insertJob(db, { queue, delayMs: 1_600 }), await insertJob(db, { queue, delayMs: 1_700 })];
  for (const id of [announced, ...behind]) {
    const { startedAt, createdAt } = await untilState(db, id, "completed");
    // The next regular poll is at least 24 s away.
    expect(startedAt!.getTime() - createdAt.getTime()).toBeLessThan(20_000);
  }
});

test("a job whose announcement was lost starts within the promote interval", async ({ db, queue, startWorker }) => {
  await db.pool.query("delete from hark.jobs");
  await startWorker([job(queue)], { pollInterval: "10m", promoteInterval: "2s" });
  const far = await insertJob(db, { queue, delayMs: 3_600_000 });
  const client = await db.pool.connect();
  await client.query("begin; set local session_replication_role = replica"); // an hour passes, and no trigger fires
  await client.query("update hark.jobs set run_at = clock_timestamp() + interval '1 s' where id = $1", [far]);
  await client.query("commit");
  client.release();
  await untilState(db, far, "completed");
});
