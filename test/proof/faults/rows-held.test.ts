// @module-tag FM-77
import { createLocks, type Database, defineJob } from "@hark/core";
import { implement, schedule } from "@hark/worker";
import type pg from "pg";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";

/*
 * A transaction of the application or an operator stands idle and holds rows of a table beside the
 * jobs. Whatever does not need these rows goes on.
 */

const many = 200;

/** Begins a transaction that locks rows, and hands out what ends it. */
async function hold(pool: pg.Pool, rows: string): Promise<AsyncDisposable> {
  const client = await pool.connect();
  await client.query("begin");
  await client.query(`select from ${rows} for update`);
  return {
    async [Symbol.asyncDispose]() {
      await client.query("rollback");
      client.release();
    },
  };
}

/** How many of Hark's sessions wait for a lock now. */
async function waiting({ pool }: Database): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%hark.%'`,
  );
  return rows[0]!.count;
}

test("jobs whose unique keys' rows are held locked are settled with the others, and their keys come free", async ({
  db,
  pool,
  queue,
  startWorker,
}) => {
  const fresh = Array.from({ length: many }, (_, place) => ({
    queue,
    type: "test.plain",
    ...(place % 4 === 0 && { uniqueKey: `key ${place}` }),
  }));
  await insertJobs(db, fresh);
  {
    await using _held = await hold(pool, `hark.unique_keys where queue = '${queue}'`);
    await startWorker([implement(defineJob("test.plain", { queue }), () => {})], { queues: { [queue]: 10 } });
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: many });
  }
  const again = fresh.filter(({ uniqueKey }) => uniqueKey !== undefined);
  await insertJobs(db, again);
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: many + again.length });
  const { rows } = await pool.query("select from hark.unique_keys where queue = $1", [queue]);
  expect(rows).toEqual([]);
});

test("while schedules' rows are held locked, others are declared and fire, and no session waits", async ({
  db,
  pool,
  queue,
  startWorker,
}) => {
  const ticks = { held: 0, changed: 0, free: 0 };
  const names = Object.keys(ticks) as (keyof typeof ticks)[];
  const jobs = names.map((name) => defineJob(`test.${name}`, { queue }));
  const handlers = jobs.map((job, place) => implement(job, () => void (ticks[names[place]!] += 1)));
  const declared = (every: "1h" | "2s") =>
    jobs.map((job, place) =>
      schedule(job, { every: names[place] === "changed" ? every : "1s" }, { name: `${queue}-${names[place]}` }),
    );
  const first = await startWorker(handlers, { queues: { [queue]: 5 }, schedules: declared("1h").slice(0, 2) });
  await eventually(() => ticks.held > 0, { withinMs: 30_000, what: "a tick of the first worker" });
  const before = { ...ticks };
  {
    await using _held = await hold(pool, `hark.schedules where name like '${queue}-%'`);
    await first.stop();
    await startWorker(handlers, { queues: { [queue]: 5 }, schedules: declared("2s") });
    const seen: number[] = [];
    await eventually(
      async () => {
        seen.push(await waiting(db));
        return ticks.free >= 3;
      },
      { withinMs: 60_000, what: "ticks of the schedule that is not held" },
    );
    expect(Math.max(...seen)).toBe(0);
    expect(ticks.changed).toBe(before.changed);
  }
  await eventually(() => ticks.changed > 0 && ticks.held > before.held, {
    withinMs: 60_000,
    what: "ticks of those that were held",
  });
});

test("while a lock's row is held locked, its callers take no connection from those of other locks", async ({
  db,
  pool,
  queue,
}) => {
  const locks = createLocks({ db });
  const key = `held ${queue}`;
  const lost = await locks.acquire(key, { ttlMs: 100 });
  const callers = new AbortController();
  {
    await using _held = await hold(pool, `hark.locks where key = '${key}'`);
    await eventually(() => lost.signal.aborted, { withinMs: 30_000, what: "the end of the lock's time" });
    await expect(locks.acquire(key, { ttlMs: 1_000 })).rejects.toThrow(/was not free|is held|lock/);
    const waiters = Array.from({ length: 10 }, () =>
      locks.acquire(key, { ttlMs: 60_000, waitMs: 60_000, signal: callers.signal }).catch(() => undefined),
    );
    for (let round = 0; round < 20; round += 1) {
      const other = await locks.acquire(`other ${round} ${queue}`, { ttlMs: 10_000 });
      expect(await other.release()).toBe(true);
      expect(await waiting(db)).toBe(0);
    }
    callers.abort();
    await Promise.all(waiters);
  }
  const next = await locks.acquire(key, { ttlMs: 1_000, waitMs: 30_000 });
  expect(next.fence).toBeGreaterThan(lost.fence);
  await next.release();
});

test("while finished jobs, dead letters and attempts are held locked, jobs run and history is kept", async ({
  db,
  pool,
  queue,
  startWorker,
}) => {
  const plain = () =>
    insertJobs(
      db,
      Array.from({ length: many }, () => ({ queue, type: "test.plain" })),
    );
  await startWorker([implement(defineJob("test.plain", { queue }), () => {})], { queues: { [queue]: 10 } });
  await plain();
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: many });
  await using _finished = await hold(pool, `hark.finished_jobs where queue = '${queue}'`);
  await using _attempts = await hold(pool, "hark.attempts");
  await using _dead = await hold(pool, "hark.dead_jobs");
  await plain();
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 2 * many });
  await pool.query("select hark.create_partitions(7)");
  await pool.query("select * from hark.drop_partitions(1)");
  expect(await countJobs(db, queue)).toEqual({ completed: 2 * many });
});
