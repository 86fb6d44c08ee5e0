// @module-tag FM-62
import { defineJob, deleteDeadJob, getStats, pruneDeadJobs, requeueDeadJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { claim, registerWorker } from "../support/jobs.ts";

/* Operators delete rows by SQL. Nothing that Hark keeps about them stays for ever. */

const job = defineJob("by.hand");

test("a job that is deleted by hand gives its unique key to the next one", async ({ db, producer, queue, pool }) => {
  const options = { queue, uniqueKey: "one" };
  for (const state of ["ready", "running"]) {
    const deleted = await producer.enqueue(job, {}, options);
    expect(deleted.status, state).toBe("inserted");
    if (state === "running") await claim(db, { queue, worker: await registerWorker(db), types: ["by.hand"] });
    expect(await producer.enqueue(job, {}, options), state).toEqual({ id: deleted.id, status: "duplicate" });
    const table = state === "running" ? "running_jobs" : "jobs";
    expect((await pool.query(`delete from hark.${table} where id = $1`, [deleted.id])).rowCount).toBe(1);

    const next = await producer.enqueue(job, {}, options);
    expect(next.status).toBe("inserted");
    expect(await producer.enqueue(job, {}, options)).toEqual({ id: next.id, status: "duplicate" });
    await pool.query("delete from hark.jobs where id = $1", [next.id]);
  }
});

test("one batch takes such a key once, and so do producers that come at the same time", async ({
  db,
  producer,
  queue,
  pool,
}) => {
  const request = { job, payload: {}, options: { queue, uniqueKey: "one" } };
  await producer.enqueueMany([request]);
  await pool.query("delete from hark.jobs where queue = $1", [queue]);
  const batch = await producer.enqueueMany([request, { ...request, options: { queue, uniqueKey: "two" } }, request]);
  expect(batch.map(({ status }) => status)).toEqual(["inserted", "inserted", "duplicate"]);
  expect(batch[2]!.id).toBe(batch[0]!.id);

  for (let round = 0; round < 10; round += 1) {
    await pool.query("delete from hark.jobs where queue = $1", [queue]);
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        statements.insertJobs(db, { jobs: JSON.stringify([{ type: "by.hand", queue, unique_key: "one" }]) }),
      ),
    );
    expect(all.flat().filter(({ status }) => status === "inserted")).toHaveLength(1);
    expect(new Set(all.flat().map(({ id }) => id)).size).toBe(1);
    expect((await pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(1);
  }
});

test("a dead letter takes over its unique key from a job that was deleted by hand, and from no other", async ({
  db,
  queue,
  pool,
}) => {
  const bury = async () => {
    const { rows } = await pool.query<{ id: string }>(
      `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, unique_key, run_at, created_at,
                                   reason, error, started_at, finished_at)
       select nextval('hark.jobs_id_seq'), $1, 'by.hand', '{}', 0, 1, 1, 0, 'one', now(), now(), 'failed', 'Error: no', now(), now()
         from generate_series(1, 2) returning id`,
      [queue],
    );
    return rows.map(({ id }) => BigInt(id));
  };
  const hold = async () =>
    (await statements.insertJobs(db, { jobs: JSON.stringify([{ type: "by.hand", queue, unique_key: "one" }]) }))[0]!;
  const [first, second] = await bury();

  await hold();
  expect(await requeueDeadJob(db, first!)).toMatchObject({ isRequeued: false });
  await claim(db, { queue, worker: await registerWorker(db), types: ["by.hand"] });
  expect(await requeueDeadJob(db, first!)).toMatchObject({ isRequeued: false });

  await pool.query("delete from hark.running_jobs where queue = $1", [queue]);
  const both = await statements.requeueJobs(db, { ids: [first!, second!] }); // of one key in one statement
  expect(both.filter(({ isRequeued }) => isRequeued)).toHaveLength(1);
  expect(await hold()).toEqual({ id: both.find(({ isRequeued }) => isRequeued)!.id, status: "duplicate" });

  // One that is enqueued at the same time: the first of the two has the key.
  const left = both.find(({ isRequeued }) => !isRequeued)!.id;
  for (let round = 0; round < 10; round += 1) {
    await pool.query("delete from hark.jobs where queue = $1", [queue]);
    const [requeued, other] = await Promise.all([requeueDeadJob(db, left), hold()]);
    expect((await pool.query("select from hark.jobs where queue = $1 and unique_key = 'one'", [queue])).rowCount).toBe(
      1,
    );
    expect(other.status === "inserted", `round ${round}`).toBe(!requeued!.isRequeued);
    if (!requeued!.isRequeued) continue;
    await pool.query(
      `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, unique_key, run_at, created_at,
                                   reason, error, started_at, finished_at)
       values ($2, $1, 'by.hand', '{}', 0, 1, 1, 0, 'one', now(), now(), 'failed', 'Error: no', now(), now())`,
      [queue, left],
    );
  }
  await pool.query("delete from hark.dead_jobs where queue = $1", [queue]);
});

test("dead letters that are deleted by hand leave the counts, and others leave them once", async ({
  db,
  queue,
  pool,
}) => {
  const bury = (count: number) =>
    pool.query(
      `with dead as (
         insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
                                     error, started_at, finished_at)
         select nextval('hark.jobs_id_seq'), $1, 'by.hand', '{}', 0, 1, 1, 0, now(), now(), 'failed', 'Error: no', now(), now()
           from generate_series(1, $2) returning queue, id),
       counted as (insert into hark.stats (queue, dead) select queue, count(*) from dead group by queue)
       select id from dead order by id`,
      [queue, count],
    );
  const failed = async () => (await getStats(db)).queues[queue]?.dead;
  const ids = (await bury(10)).rows.map(({ id }: { id: string }) => BigInt(id));
  expect(await failed()).toBe(10);
  await pool.query("delete from hark.dead_jobs where id = any ($1)", [ids.slice(0, 3)]);
  expect(await failed()).toBe(7);
  await deleteDeadJob(db, ids[3]!);
  expect(await failed()).toBe(6);
  await requeueDeadJob(db, ids[4]!);
  expect(await failed()).toBe(5);
  await pruneDeadJobs(db, { olderThan: 0, limit: 2 });
  expect(await failed()).toBe(3);
  await pool.query("truncate hark.dead_jobs");
  expect(await failed()).toBe(0);
  // Rows that were inserted by hand were never counted.
  await bury(2);
  await pool.query("delete from hark.stats");
  await pool.query("delete from hark.dead_jobs");
  expect(await failed()).toBe(0);
});
