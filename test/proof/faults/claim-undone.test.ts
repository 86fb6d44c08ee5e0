import { setTimeout as pause } from "node:timers/promises";
import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import pg from "pg";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test as base } from "../../support/fixtures.ts";
import { claim, insertJob, registerWorker, untilState } from "../../support/jobs.ts";

/** The open gate of this database and queue. */
const openGate = `select from pg_locks where locktype = 'advisory' and classid = 1751216747 and granted
  and database = (select oid from pg_database where datname = current_database())
  and objid::bigint = hashtext($1)::bigint & 4294967295`;
/** Many times what a worker takes to fall asleep. */
const longEnoughMs = 300;
/** No poll comes within a test, so the job can only be found by a wake-up. */
const options = { pollInterval: "10m" } as const;
const withinMs = 10_000;

const test = base.extend("connect", ({ databaseUrl }, { onCleanup }) => {
  const clients: pg.Client[] = [];
  onCleanup(async () => void (await Promise.all(clients.map((client) => client.end().catch(() => {})))));
  return async () => {
    const client = new pg.Client({ connectionString: databaseUrl });
    client.on("error", () => {});
    clients.push(client);
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    return Object.assign(client, { pid: rows[0]!.pid });
  };
});

test("a worker that falls asleep during another's uncommitted claim finds the job when that claimer dies", async ({
  db,
  queue,
  startWorker,
  connect,
}) => {
  const job = defineJob("test.plain", { queue });
  const dying = await connect();
  const id = await insertJob(db, { queue });
  await dying.query("begin");
  expect(await claim(dying, { queue, worker: await registerWorker(db) })).toHaveLength(1);
  await startWorker([implement(job, () => {})], options);
  await eventually(async () => (await db.pool.query(openGate, [queue])).rowCount, { withinMs, what: "its open gate" });
  await pause(longEnoughMs);

  await db.pool.query("select pg_terminate_backend($1)", [dying.pid]);

  await untilState(db, id, "completed", { withinMs });
});

test(
  "a worker that was woken for a job that another had claimed finds the job when that claimer dies",
  { tags: ["AWAKE-2"] },
  async ({ db, queue, startWorker, connect }) => {
    const job = defineJob("test.plain", { queue });
    const [dying, holder] = [await connect(), await connect()];
    const rival = await registerWorker(db);
    await startWorker([implement(job, () => {})], { ...options, name: queue });
    await eventually(async () => (await db.pool.query(openGate, [queue])).rowCount, {
      withinMs,
      what: "its open gate",
    });
    await pause(longEnoughMs);
    await holder.query("begin");
    await holder.query("select from hark.workers where name = $1 for update", [queue]); // so its next claim waits
    const id = await insertJob(db, { queue });
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%insert into hark.running_jobs%'
    and datname = current_database()`;
    await eventually(async () => (await db.pool.query(waiting)).rowCount, { withinMs, what: "a claim that waits" });
    await dying.query("begin");
    expect(await claim(dying, { queue, worker: rival })).toHaveLength(1);
    await holder.query("rollback");
    await pause(longEnoughMs);

    await db.pool.query("select pg_terminate_backend($1)", [dying.pid]);

    await untilState(db, id, "completed", { withinMs });
  },
);
