import { type Database, defineJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";

/**
 * Longest that one settle may take during upkeep, in ms. Upkeep waits 50 ms for a lock; the rest is
 * for a busy machine.
 */
const mostSettleMs = 500;

const insertOld = `insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at,
    created_at, state, finished_at)
  select n, 'old', 'test.old', '{}', 0, 1, 1, 0, $1::timestamptz, $1, 'completed', $1 from generate_series(1, $2::integer) n`;

/** How many jobs that finished at a moment each partition holds. */
async function places({ pool }: Database, finishedAt: string): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ place: string; count: number }>(
    `select tableoid::regclass::text as place, count(*)::integer from hark.finished_jobs where finished_at = $1 group by 1`,
    [finishedAt],
  );
  return Object.fromEntries(rows.map(({ place, count }) => [place, count]));
}

/** Noon UTC of the day `days` from today, and the name of that day's partition. */
async function dayAt({ pool }: Database, days: number): Promise<{ at: string; partition: string }> {
  const { rows } = await pool.query<{ at: string; partition: string }>(
    `select to_char(day, 'YYYY-MM-DD') || ' 12:00Z' as at, 'hark.finished_jobs_' || to_char(day, 'YYYYMMDD') as partition
       from (select (now() at time zone 'UTC')::date + $1::integer as day) days`,
    [days],
  );
  return rows[0]!;
}

for (const [what, hold] of [
  ["a long reader of the history", "select count(*) from hark.finished_jobs"],
  ["a transaction that has finished a job", "insert into hark.finished_jobs select * from hark.finished_jobs limit 0"],
] as const) {
  test(`during ${what}, old history waits to be dropped and settles go on`, async ({
    db,
    producer,
    queue,
    startWorker,
  }) => {
    await db.pool.query(
      `create table hark.finished_jobs_20200101 partition of hark.finished_jobs for values from ('2020-01-01Z') to ('2020-01-02Z')`,
    );
    const job = defineJob("test.plain", { queue });
    let slowest = 0;
    await startWorker([implement(job, () => {})], { keepDays: 100_000 }); // its upkeep drops nothing
    const holder = await db.pool.connect();
    try {
      await holder.query("begin");
      await holder.query(hold);

      const upkeep = (async () => {
        for (let call = 0; call < 20; call += 1) {
          const [answer] = await statements.dropPartitions(db, { keepDays: 7 });
          expect(answer).toEqual({ dropped: 0, deleted: 0, waiting: 1 });
          await statements.createPartitions(db, { daysAhead: 9 });
        }
      })();
      const over = new AbortController();
      const end = () => over.abort();
      upkeep.then(end, end);
      for (let settled = 0; !over.signal.aborted || settled < 10; settled += 1) {
        const startedAt = performance.now();
        const { id } = await producer.enqueue(job, {});
        // Looks up the tables that the job leaves by primary key. A look at the history would wait
        // for the lock too.
        await eventually(
          async () =>
            (
              await db.pool.query(
                "select from (select id from hark.jobs union all select id from hark.running_jobs) unfinished where id = $1",
                [id],
              )
            ).rowCount === 0,
          { withinMs: 30_000, everyMs: 2 },
        );
        slowest = Math.max(slowest, performance.now() - startedAt);
      }
      await upkeep;
      expect(slowest).toBeLessThan(mostSettleMs);
    } finally {
      await holder.query("rollback");
      holder.release();
    }

    await eventually(async () => (await statements.dropPartitions(db, { keepDays: 7 }))[0]?.dropped === 1, {
      withinMs: 30_000,
      everyMs: 50,
    });
  });
}

test("outcomes of a day without a partition are kept, and move into the partition when it is made", async ({ db }) => {
  const { at, partition } = await dayAt(db, 20);
  await db.pool.query(insertOld, [at, 100]);
  expect(await places(db, at)).toEqual({ "hark.finished_jobs_default": 100 });

  await statements.createPartitions(db, { daysAhead: 20 });

  expect(await places(db, at)).toEqual({ [partition]: 100 });
});

test("outcomes that are too many to move stay where they are, and the other days get their partitions", async ({
  db,
}) => {
  const { at } = await dayAt(db, 30);
  const next = await dayAt(db, 31);
  await db.pool.query(insertOld, [at, 10_001]);

  await statements.createPartitions(db, { daysAhead: 31 });

  expect(await places(db, at)).toEqual({ "hark.finished_jobs_default": 10_001 });
  await db.pool.query(insertOld, [next.at, 1]);
  expect(await places(db, next.at)).toEqual({ [next.partition]: 1 });
  await db.pool.query("delete from hark.finished_jobs where finished_at = $1", [at]);
});

test("old outcomes that never had a partition are deleted in batches", async ({ db }) => {
  await db.pool.query(insertOld, ["2019-06-01 12:00Z", 15_000]);

  const deleted = async () => (await statements.dropPartitions(db, { keepDays: 7 }))[0]?.deleted;
  expect([await deleted(), await deleted(), await deleted()]).toEqual([10_000, 5_000, 0]);
});

test("days are those of UTC, whatever the time zone of the session", async ({ db }) => {
  const client = await db.pool.connect();
  try {
    for (const zone of ["Pacific/Kiritimati", "Pacific/Niue"]) {
      await client.query("select set_config('timezone', $1, false)", [zone]); // 14 hours ahead, 11 behind
      const { rows } = await client.query<{ name: string; bounds: string }>(
        `select hark.create_partitions(40), to_char(now() at time zone 'UTC' + interval '40 days', 'YYYYMMDD') as name`,
      );
      await client.query("set timezone = 'UTC'");
      const { rows: made } = await client.query<{ bounds: string }>(
        `select pg_get_expr(relpartbound, oid) as bounds from pg_class where relname = 'finished_jobs_' || $1`,
        [rows[0]!.name],
      );
      expect(made[0]?.bounds).toMatch(/FROM \('.* 00:00:00\+00'\) TO \('.* 00:00:00\+00'\)/);
      const last = await client.query(
        `select from pg_class where relname > 'finished_jobs_' || $1 and relname ~ '^finished_jobs_\\d+$'`,
        [rows[0]!.name],
      );
      expect(last.rowCount).toBe(0);
      await client.query(`drop table hark.finished_jobs_${rows[0]!.name}`);
    }
  } finally {
    client.release(true);
  }
});
