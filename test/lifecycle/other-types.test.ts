import { type Database, defineJob, getJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/** Inserts many ready jobs at once, without waking anybody. */
async function fill({ pool }: Database, queue: string, type: string, jobs: number): Promise<void> {
  await pool.query(
    `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
     select $1, $2, '{}', 0, 0, 3, 0, clock_timestamp(), clock_timestamp(), 'ready' from generate_series(1, $3)`,
    [queue, type, jobs],
  );
}

/** How many index entries the sessions that have ended read in an index of waiting jobs. */
async function entriesRead({ pool }: Database, index: string): Promise<number> {
  const { rows } = await pool.query<{ read: string }>(
    "select idx_tup_read as read from pg_stat_user_indexes where indexrelname = $1",
    [index],
  );
  return Number(rows[0]!.read);
}

test(
  "behind 20,000 jobs that it does not run, a worker starts its jobs without stepping over those",
  { tags: ["FM-58"] },
  async ({ db, producer, queue, startWorker }) => {
    const known = defineJob("test.known", { queue });
    await fill(db, queue, "test.unknown", 20_000);
    const readBefore = await entriesRead(db, "jobs_ready");
    const worker = await startWorker([implement(known, () => {})]);

    const starts = 20;
    for (let start = 0; start < starts; start += 1) {
      const { id } = await producer.enqueue(known, {});
      await untilState(db, id, "completed");
    }
    await worker.stop();

    const look = () => entriesRead(db, "jobs_by_type").then((read) => read >= starts);
    await eventually(look, { withinMs: 30_000, what: "the counts of the worker's sessions" });
    // A look and a probe read 1,000 entries each, and a claim of the whole queue would read 20,000.
    const read = (await entriesRead(db, "jobs_ready")) - readBefore;
    expect(read / starts).toBeLessThan(8_000);
  },
);

test(
  "two workers of different types drain one queue, each behind the other's jobs",
  { tags: ["FM-58", "STRICT-2"] },
  async ({ db, producer, queue, startWorker }) => {
    const [old, fresh] = [defineJob("test.old", { queue }), defineJob("test.fresh", { queue })];
    await fill(db, queue, old.type, 3_000);
    await fill(db, queue, fresh.type, 3_000);
    const done = { old: 0, fresh: 0 };

    // A rolling deploy: the new worker does not know the old type, nor the old one the new type.
    await startWorker([implement(fresh, () => void (done.fresh += 1))]);
    await eventually(() => done.fresh === 3_000, { withinMs: 60_000, what: "the jobs behind those of the other type" });
    expect(done.old).toBe(0);
    await startWorker([implement(old, () => void (done.old += 1))]);
    await producer.enqueueMany([old, fresh, old, fresh].map((job) => ({ job, payload: {} })));

    await eventually(() => done.old === 3_002 && done.fresh === 3_002, { withinMs: 60_000, what: "all starts" });
  },
);

test("more urgent jobs of another type start first behind a crowd", { tags: ["FM-58", "STRICT-2"] }, async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const [one, other] = [defineJob("test.one", { queue }), defineJob("test.other", { queue })];
  await fill(db, queue, "test.unknown", 2_000);
  const priorities = [0, 5, -3, 5, 7, 0, -9, 5, 7, 1];
  const jobs = priorities.map((priority, place) => ({ job: place % 2 ? one : other, payload: priority, options: { priority } }));
  const [last] = (await producer.enqueueMany(jobs)).slice(-1);
  const order: unknown[] = [];

  await startWorker([one, other].map((job) => implement(job, ({ payload }) => void order.push(payload))), {
    queues: { [queue]: 1 },
  });

  await eventually(() => order.length === priorities.length, { withinMs: 30_000, what: "all starts" });
  expect(order).toEqual(priorities.toSorted((a, b) => b - a));
  await untilState(db, last!.id, "completed");
  expect((await getJob(db, last!.id))?.attempt).toBe(1);
}); // prettier-ignore
