import { cancelJob, type Database, defineJob, getJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { type Handler, implement } from "@hark/worker";
import pg from "pg";
import { expect, onTestFinished, vi } from "vitest";
import { codeName } from "../support/count-statements.ts";
import { eventually } from "../support/eventually.ts";
import { type StartWorker, test as base } from "../support/fixtures.ts";
import { claim, completed, countJobs, insertJob, insertJobs, registerWorker, untilState } from "../support/jobs.ts";
import { clearJobs } from "../support/places.ts";

const test = base.extend("emptied", { auto: true }, ({ db }) => clearJobs(db)); // it walks over the keys of all queues

const never = { pollInterval: "10m", promoteInterval: "10m" } as const;
const unpark = (db: Database, limit = 1_000) => statements.unparkJobs(db, { ...statements.firstKey, limit });

/**
 * A stranger's transaction that stands idle and holds a waiting job locked. Returns how it ends.
 */
async function lock({ pool }: Database, id: bigint): Promise<() => Promise<unknown>> {
  const client = await pool.connect();
  let isOver = false;
  const end = async () => {
    if (isOver) return;
    isOver = true;
    await client.query("rollback");
    client.release();
  };
  onTestFinished(end);
  await client.query("begin");
  await client.query("select from hark.jobs where id = $1 for update", [id]);
  return end;
}

/** Counts the looks at parked jobs of this process, from now on. */
function countLooks(): () => number {
  let looks = 0;
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
  const query = pg.Client.prototype.query;
  const spy = vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    if (codeName((args[0] as { name?: string }).name ?? "") === "unpark-jobs") looks += 1;
    return query.apply(this, args as never) as never;
  });
  onTestFinished(() => spy.mockRestore());
  return () => looks;
}

/**
 * Starts a worker, and waits until it has looked at parked jobs as it does after its start. It
 * would look again in a minute, unless a notification asks for it.
 */
async function startQuietWorker(
  { db, queue, startWorker }: { db: Database; queue: string; startWorker: StartWorker },
  handler: Handler,
): Promise<void> {
  const looks = countLooks();
  await startWorker([handler], { ...never, queues: { [queue]: 20 } });
  await eventually(() => looks() > 0, { withinMs: 30_000, what: "a look at parked jobs" });
  const before = looks();
  await db.pool.query("select pg_notify('key_waits', $1)", [queue]);
  await eventually(() => looks() > before, { withinMs: 30_000, what: "another" });
}

test("a round frees the most urgent job of each key that nobody would hand on, and no other", async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const keys = ["free", "ready", "running", "silent"];
  const ids = new Map<string, bigint[]>();
  for (const key of keys)
    ids.set(
      key,
      await insertJobs(
        db,
        Array.from({ length: 3 }, () => ({ queue, key })),
      ),
    );
  await insertJob(db, { queue, key: "later", delayMs: 60_000 });
  await db.pool.query("delete from hark.jobs where id = $1", [ids.get("free")![0]]); // by hand
  await claim(db, { queue, worker, limit: 10 });
  await db.pool.query("update hark.running_jobs set hands_off = false where key = 'silent'");
  await db.pool.query("delete from hark.running_jobs where key = 'ready'"); // hands on

  expect(await unpark(db)).toEqual([{ unparked: 1, waiting: 0, cursor: undefined }]);

  expect((await getJob(db, ids.get("free")![1]!))!.state).toBe("ready");
  const { rows } = await db.pool.query("select key from hark.jobs where state = 'ready' order by key");
  expect(rows).toEqual([{ key: "free" }, { key: "ready" }]);
  const running = await db.pool.query("select key, hands_off from hark.running_jobs order by key");
  expect(running.rows).toEqual([{ key: "running", hands_off: true }, { key: "silent", hands_off: true }]); // prettier-ignore
  expect(await unpark(db)).toEqual([{ unparked: 0, waiting: 0, cursor: undefined }]);
});

test("rounds of some keys each come to all keys of all queues", async ({ db, queue }) => {
  const keys = [...Array(7).keys()].flatMap((n) => [
    { queue, key: `k${n}` },
    { queue: `${queue}.other`, key: `k${n}` },
  ]);
  const ids = await insertJobs(db, [...keys, ...keys]);
  await db.pool.query("delete from hark.jobs where id = any ($1::bigint[])", [ids.slice(0, keys.length)]);

  let cursor: statements.KeyCursor | undefined = statements.firstKey;
  const found: number[] = [];
  while (cursor) {
    const [look]: statements.UnparkLook[] = await statements.unparkJobs(db, { ...cursor, limit: 4 });
    found.push(look!.unparked);
    ({ cursor } = look!);
  }
  expect(found).toEqual([4, 4, 4, 2]);
});

test("what a round costs does not grow with the parked jobs of its keys", { tags: ["FAST-1"] }, async ({ db, queue }) => {
  const buffersAt = async (parked: number) => {
    await clearJobs(db);
    await db.pool.query(
      `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, key, run_at, created_at, state)
       select $1, 'test.plain', '{}', 0, 0, 3, 0, 'key ' || n % 10, clock_timestamp(), clock_timestamp(), 'parked'
         from generate_series(1, $2::integer) n`,
      [queue, parked],
    );
    await db.pool.query("insert into hark.jobs select (jsonb_populate_record(j, jsonb_build_object('id', 1152921504606846976 + id, 'state', 'ready'))).* from hark.jobs j order by id limit 10");
    await db.pool.query("vacuum analyze hark.jobs");
    const client = await db.pool.connect();
    try {
      await client.query(`set enable_seqscan = off; prepare unpark as ${statements.unparkJobs.text}`);
      const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }>(
        "explain (analyze, buffers, format json) execute unpark ('', '', 1000)",
      );
      const { Plan: plan } = rows[0]!["QUERY PLAN"][0];
      return plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!;
    } finally {
      client.release(true);
    }
  };
  const few = await buffersAt(1_000);
  expect(await buffersAt(20_000)).toBeLessThanOrEqual(2 * few);
}); // prettier-ignore

test("if the first in line is locked, the key goes to the next", async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const [, first, second] = await insertJobs(db, [
    { queue, key: "k" },
    { queue, key: "k" },
    { queue, key: "k" },
  ]);
  const [held] = await claim(db, { queue, worker });
  const unlock = await lock(db, first!);
  await statements.completeJobs(db, completed(held!));
  await unlock();
  expect((await getJob(db, second!))!.state).toBe("ready");
  expect((await getJob(db, first!))!.state).toBe("parked");
});

test("a round tells how many keys wait for a lock", async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const [, parked] = await insertJobs(db, [
    { queue, key: "k" },
    { queue, key: "k" },
  ]);
  const [held] = await claim(db, { queue, worker });
  const unlock = await lock(db, parked!);
  await statements.completeJobs(db, completed(held!));
  expect(await unpark(db)).toEqual([{ unparked: 0, waiting: 1, cursor: undefined }]);
  await unlock();
  expect(await unpark(db)).toEqual([{ unparked: 1, waiting: 0, cursor: undefined }]);
});

test(
  "a parked job that a stranger holds locked delays no other job, and its key goes on once the lock is gone",
  { tags: ["FM-40"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.page", { queue });
    const gate = Promise.withResolvers<void>();
    const handler = implement(job, ({ payload }) => (payload === "first" ? gate.promise : undefined));
    await startQuietWorker({ db, queue, startWorker }, handler);
    const [first, second] = await producer.enqueueMany(
      ["first", "second"].map((payload) => ({ job, payload, options: { key: "k" } })),
    );
    await untilState(db, first!.id, "running");
    const unlock = await lock(db, second!.id);

    const others = Array.from({ length: 300 }, (_, n) => ({ job, payload: n, options: { key: `other ${n % 50}` } }));
    await producer.enqueueMany(others);
    gate.resolve();

    await eventually(async () => (await countJobs(db, queue))["completed"] === 301, {
      withinMs: 30_000,
      what: "all but the locked job",
    });
    await unlock();
    await untilState(db, second!.id, "completed");
  },
);

test.for([
  ["repeatable read", "before"],
  ["repeatable read", "after"],
  ["serializable", "before"],
] as const)(
  "a job completed in a %s transaction hands its key on, though the one it had parked was withdrawn %s its snapshot",
  { tags: ["FM-40"] },
  async ([isolation, when], { db, producer, queue, startWorker }) => {
    const job = defineJob("test.book", { queue });
    const [mayBegin, begun, goOn] = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    const handler = implement(job, async (context) => {
      if (context.payload === "second") return;
      await mayBegin!.promise;
      const client = await db.pool.connect();
      try {
        await client.query(`begin isolation level ${isolation}`);
        await client.query("select count(*) from hark.jobs"); // takes the snapshot
        begun!.resolve();
        await goOn!.promise;
        await context.completeIn(client);
        await client.query("commit");
      } catch (error) {
        await client.query("rollback");
        throw error;
      } finally {
        client.release();
      }
    });
    await startQuietWorker({ db, queue, startWorker }, handler);
    const request = (payload: string) => ({ job, payload, options: { key: "k" } });
    const [first, withdrawn] = await producer.enqueueMany([request("first"), request("withdrawn")]);
    await untilState(db, first!.id, "running");
    // It will hand on all the same.
    if (when === "before") expect(await cancelJob(db, withdrawn!.id)).toBe("parked");
    mayBegin!.resolve();
    await begun!.promise;
    if (when === "after") expect(await cancelJob(db, withdrawn!.id)).toBe("parked");
    const { id: second } = await producer.enqueue(job, "second", { key: "k" });
    await statements.parkBlocked(db, { queue, keys: ["k"] }); // or the worker does
    await untilState(db, second, "parked");
    goOn!.resolve();

    expect((await untilState(db, first!.id, "completed")).attempts).toEqual([]); // at the first try
    await untilState(db, second, "completed");
  },
);
