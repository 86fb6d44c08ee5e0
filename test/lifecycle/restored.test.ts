import { createLocks, type Database, defineJob, openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect, inject } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/** A database of the test's own, for what would disturb others. */
const test = base.extend("own", async ({ server }, { onCleanup }) => {
  const url = await server.createDatabase(undefined, { template: inject("template") });
  const db = openDatabase({ connectionString: url });
  onCleanup(() => db.close());
  return { url, db };
});

test(
  "after a copy that left the sequence of ids behind, each new job runs once and under an id of its own",
  { tags: ["FM-83"] },
  async ({ own: { url, db }, startWorker, queue }) => {
    const producer = createProducer({ database: db });
    const runs = new Map<bigint, number>();
    const bad = defineJob("test.bad", { queue, retry: { attempts: 1 } });
    const good = defineJob("test.good", { queue });
    const later = defineJob("test.later", { queue });
    const count = (id: bigint) => runs.set(id, (runs.get(id) ?? 0) + 1);
    await startWorker(
      [
        implement(bad, ({ id }) => {
          count(id);
          throw new Error("as told");
        }),
        implement(good, ({ id }) => void count(id)),
      ],
      { connectionString: url },
    );
    const buried = await producer.enqueueMany([1, 2, 3].map((payload) => ({ job: bad, payload })));
    for (const { id } of buried) await untilState(db, id, "dead");
    await producer.enqueueMany(
      [4, 5, 6].map((payload) => ({ job: later, payload, options: { delay: "1h" as const } })),
    );
    await db.pool.query("alter sequence hark.jobs_id_seq restart");
    runs.clear();

    const again = [await producer.enqueue(bad, 1), await producer.enqueue(bad, 2), await producer.enqueue(bad, 3)];
    const fresh = [await producer.enqueue(good, 4), await producer.enqueue(good, 5)];
    for (const { id } of fresh) await untilState(db, id, "completed");
    const deadPayloads = async () =>
      (await db.pool.query<{ payload: number }>("select payload from hark.dead_jobs order by payload")).rows;
    await eventually(async () => (await deadPayloads()).length === 6, {
      withinMs: 30_000,
      what: "all jobs that fail are dead letters",
    });

    expect((await deadPayloads()).map(({ payload }) => payload)).toEqual([1, 1, 2, 2, 3, 3]);
    expect([...runs.values()]).toEqual([...again, ...fresh].map(() => 1));
    const taken = new Set(buried.map(({ id }) => id));
    expect(fresh.filter(({ id }) => taken.has(id))).toEqual([]);
    expect((await db.pool.query("select from hark.running_jobs")).rows).toEqual([]);
  },
);

test(
  "a waiting job with the id of a running one does not stop the queue",
  { tags: ["FM-83"] },
  async ({ own: { url, db }, startWorker, queue }) => {
    const producer = createProducer({ database: db });
    const held = defineJob("test.held", { queue });
    const released = Promise.withResolvers<void>();
    const seen: unknown[] = [];
    await startWorker(
      [
        implement(held, async ({ payload }) => {
          seen.push(payload);
          if (payload === "first") await released.promise;
        }),
      ],
      { connectionString: url, queues: 2 },
    );
    const { id } = await producer.enqueue(held, "first");
    await untilState(db, id, "running");
    await db.pool.query(
      `insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
       values ($1, $2, 'test.held', '"copied"', 0, 0, 3, 0, now(), now(), 'ready')`,
      [String(id), queue],
    );
    const next = await producer.enqueue(held, "next");

    await untilState(db, next.id, "completed");
    await eventually(() => seen.includes("copied"), { withinMs: 30_000, what: "the copied job runs" });
    released.resolve();
    await untilState(db, id, "completed");
    expect(new Set(seen)).toEqual(new Set(["copied", "first", "next"]));
  },
);

test(
  "fences only grow: in a copy on another server, after a sequence that fell, and beside a lock from before",
  { tags: ["FM-82"] },
  async ({ own: { db } }) => {
    const locks = createLocks({ db });
    const grant = async (key: string) => {
      await using lock = await locks.acquire(key, { ttlMs: 60_000 });
      return lock.fence;
    };
    const first = await grant("a");
    expect(await grant("a")).toBe(first + 1n);
    await db.pool.query("update hark.fences set origin = 'another server'");
    await db.pool.query("alter sequence hark.fence_numbers restart");
    const copied = await grant("a");
    expect(copied).toBeGreaterThan(first + 1n);

    const old = (9_000n + (copied >> 40n)) << 40n;
    await db.pool.query(
      `insert into hark.locks (key, token, fence, owner, acquired_at, expires_at)
       values ('old', gen_random_uuid(), $1, 'before', now() - interval '1 min', now() - interval '1 s')`,
      [String(old)],
    );
    const taken = await grant("old");
    expect(taken).toBeGreaterThan(old);
    expect(await grant("old"), "once its row is gone").toBeGreaterThan(taken);
    await db.pool.query("delete from hark.fences");
    expect(await grant("a"), "without the row, as after a dump of the structure").toBeGreaterThan(0n);
  },
);

test("locks are granted where the server tells no timeline", { tags: ["FM-82"] }, async ({ own: { db } }) => {
  await db.pool.query(`create schema aurora`);
  await db.pool.query(`
    create function aurora.pg_current_wal_lsn() returns pg_lsn language plpgsql as $$ begin
      raise exception 'wal_level must be set to ''logical''' using errcode = '55000'; end $$`);
  await db.pool.query(`alter function hark.next_fence(text) set search_path = aurora, pg_catalog, hark, pg_temp`);
  const locks = createLocks({ db });
  const fences: bigint[] = [];
  for (let n = 0; n < 3; n += 1) {
    await using lock = await locks.acquire("book", { ttlMs: 60_000 });
    fences.push(lock.fence);
  }
  expect(fences).toEqual([fences[0], fences[0]! + 1n, fences[0]! + 2n]);
});

test("the first callers of a database for a lock wait for each other, and each gets its own", async ({
  own: { db },
}) => {
  const locks = createLocks({ db });
  const [early, late] = await raced(db, "select hark.next_fence('early') as fence", () =>
    locks.acquire("late", { ttlMs: 60_000 }),
  );
  expect(late.fence).toBeGreaterThan(BigInt(early!.fence as string));
});

test(
  "in a database that never granted a lock, the sequence of ids is moved by one caller at a time",
  { tags: ["FM-83"] },
  async ({ own: { db } }) => {
    const advance = "select hark.advance_ids()";
    const [, answer] = await raced(db, advance, () => db.pool.query(advance));
    expect(answer.rows).toEqual([{ advance_ids: 0n }]);
  },
);

/**
 * Runs a statement in a transaction, begins `work`, and commits once that waits for the
 * transaction. Returns the row and the answer.
 */
async function raced<Answer>(
  db: Database,
  statement: string,
  work: () => Promise<Answer>,
): Promise<[Record<string, unknown> | undefined, Answer]> {
  const session = await db.pool.connect();
  try {
    await session.query("begin");
    const { rows } = await session.query<Record<string, unknown>>(statement);
    const working = work();
    working.catch(() => {}); // is awaited below
    await eventually(
      async () =>
        (
          await db.pool.query(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
          )
        ).rowCount === 1,
      { withinMs: 30_000, what: "it waits for the transaction" },
    );
    await session.query("commit");
    return [rows[0], await working];
  } finally {
    session.release(true);
  }
}
