import { randomBytes } from "node:crypto";
import {
  createPayloadCipher,
  getJob,
  openDatabase,
  RetryAfterError,
  silentLogger,
  SnoozeError,
  UnrecoverableError,
} from "@hark/core";
import { statements } from "@hark/core/internal";
import { PostgresQueue, type PostgresQueueOptions } from "pg-hark";
import { expect, inject } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { registerWorker } from "../support/jobs.ts";
import { expireLease, makeDue } from "../support/pass-time.ts";

const url = "https://shop.example/books/1";
const within = { withinMs: 55_000 };

/** URL jobs share one queue, so each test has a database of its own. */
const test = base
  .extend("ownUrl", ({ server }) => server.createDatabase(undefined, { template: inject("template") }))
  .extend("db", ({ ownUrl }, { onCleanup }) => {
    const db = openDatabase({ connectionString: ownUrl });
    onCleanup(() => db.close());
    return db;
  })
  .extend("open", ({ ownUrl }, { onCleanup }) => {
    const queues: PostgresQueue[] = [];
    onCleanup(async () => void (await Promise.all(queues.map((queue) => queue.close()))));
    return (options: Partial<PostgresQueueOptions> = {}) => {
      const queue = new PostgresQueue({ connectionString: ownUrl, logger: silentLogger, ...options });
      queues.push(queue);
      return queue;
    };
  });

test("a job goes through enqueue, dequeue and completion", async ({ open, db }) => {
  const queue = open();
  const { id } = await queue.enqueue({ type: "product", target_url: url, priority: 2, metadata: { page: 1 } });

  const job = await queue.dequeue();
  expect(job).toEqual({
    id,
    token: expect.stringMatching(/^[0-9a-f-]{36}$/),
    type: "product",
    target_url: url,
    priority: 2,
    metadata: { page: 1 },
    attempts: 1,
    max_attempts: 3,
    signal: expect.any(AbortSignal),
  });
  expect(await getJob(db, BigInt(id))).toMatchObject({ state: "running", key: url });
  expect(await queue.dequeue()).toBeNull();

  await queue.completeJob(job!, { books: 1 });
  expect(await getJob(db, BigInt(id))).toMatchObject({ state: "completed", result: { books: 1 } });
});

test("the most urgent job comes first, then the oldest", async ({ open }) => {
  const queue = open();
  for (const [page, priority] of [0, 5, 0, 5].entries()) {
    await queue.enqueue({ type: "product", target_url: `${url}?page=${page}`, priority });
  }

  const pages = [];
  for (let job = await queue.dequeue(); job; job = await queue.dequeue()) pages.push(Number(job.target_url.at(-1)));

  expect(pages).toEqual([1, 3, 0, 2]);
});

test("a job whose URL is running is skipped, and comes once that run has ended", async ({ open, db }) => {
  const queue = open();
  const first = await queue.enqueue({ type: "product", target_url: url });
  const second = await queue.enqueue({ type: "product", target_url: url });
  const other = await queue.enqueue({ type: "product", target_url: `${url}/other` });

  const running = (await queue.dequeue())!;
  expect(running.id).toBe(first.id);
  expect((await queue.dequeue())?.id).toBe(other.id);
  expect(await queue.dequeue()).toBeNull();
  expect((await getJob(db, BigInt(second.id)))?.state).toBe("parked");

  await queue.completeJob(running);
  expect((await queue.dequeue())?.id).toBe(second.id);
});

test("a failed job is retried after the backoff, and becomes a dead letter without attempts left", async ({
  open,
  db,
}) => {
  const queue = open({ retryAttempts: 2 });
  const { id } = await queue.enqueue({ type: "product", target_url: url });

  const failed = await queue.failJob((await queue.dequeue())!, new Error("no price"));
  expect(failed).toEqual({ state: "scheduled", delay: expect.any(Number), attempts: 1 });
  expect((failed as { delay: number }).delay).toBeGreaterThanOrEqual(900);
  expect((failed as { delay: number }).delay).toBeLessThanOrEqual(1_100);
  expect(await queue.dequeue()).toBeNull();

  await makeDue(db, BigInt(id));
  const last = (await queue.dequeue())!;
  expect(last.attempts).toBe(2);
  expect(await queue.failJob(last, new Error("no price"))).toEqual({ state: "dead", reason: "attempts_exhausted" });

  const details = await getJob(db, BigInt(id));
  expect(details).toMatchObject({ state: "dead", attempt: 2, error: expect.stringContaining("no price") });
  expect(details?.attempts.map(({ ending }) => ending)).toEqual(["error", "error"]);
});

test("the error that a caller passes decides what happens next", async ({ open }) => {
  const queue = open();
  const fail = async (error: unknown, options = {}) => {
    await queue.enqueue({ type: "product", target_url: url });
    return queue.failJob((await queue.dequeue())!, error, options);
  };

  expect(await fail(new Error("busy"), { retryAfter: 60_000 })).toEqual({
    state: "scheduled",
    delay: 60_000,
    attempts: 1,
  });
  expect(await fail(new RetryAfterError(30_000))).toEqual({ state: "scheduled", delay: 30_000, attempts: 1 });
  expect(await fail(new SnoozeError(20_000))).toEqual({ state: "scheduled", delay: 20_000, attempts: 0 });
  expect(await fail(new UnrecoverableError("gone"))).toEqual({ state: "dead", reason: "unrecoverable" });
  expect(await fail("just text")).toMatchObject({ state: "scheduled", attempts: 1 });
});

test("a delayed job is dequeued when it is due, without any worker", async ({ open }) => {
  const queue = open({ pollInterval: 60_000 });
  expect(await queue.dequeue()).toBeNull();
  const enqueuedAt = performance.now();
  const { id } = await queue.enqueue({ type: "product", target_url: url, delay: 1_000 });

  const job = await queue.dequeue({ wait: 15_000 });

  expect(job?.id).toBe(id);
  expect(performance.now() - enqueuedAt).toBeGreaterThan(990);
});

test("a caller that waits for a job gets it when it is enqueued, and null when the time is over", async ({
  open,
  db,
}) => {
  const [queue, other] = [open({ pollInterval: 60_000 }), open()];
  expect(await queue.dequeue({ wait: 50 })).toBeNull();

  const waiting = queue.dequeue({ wait: 30_000 }); // shorter than the poll, so only a notification can find the job
  await eventually(async () => (await db.pool.query(listening)).rowCount, within);
  const { id } = await other.enqueue({ type: "product", target_url: url });

  expect((await waiting)?.id).toBe(id);
});

test("a job is settled only by a caller that has its id and token", async ({ open, db }) => {
  const [queue, other] = [open(), open()];
  const { id } = await queue.enqueue({ type: "product", target_url: url });
  const { token } = (await queue.dequeue())!;

  const forged = { id, token: "00000000-0000-4000-8000-000000000000" };
  await expect(other.completeJob(forged)).rejects.toMatchObject({ code: "LEASE_LOST" });
  await expect(other.failJob(forged, new Error("x"))).rejects.toMatchObject({ code: "LEASE_LOST" });
  expect((await getJob(db, BigInt(id)))?.state).toBe("running");

  expect(await other.failJob({ id, token }, new Error("x"))).toMatchObject({ state: "scheduled", attempts: 1 });
  await expect(queue.completeJob({ id, token })).rejects.toMatchObject({ code: "LEASE_LOST" });
  await expect(queue.completeJob({ id: "999", token })).rejects.toMatchObject({ code: "LEASE_LOST" });
});

test("a job is settled by its id alone where it was dequeued, and nowhere else", async ({ open, db }) => {
  const [queue, other] = [open(), open()];
  const first = await queue.enqueue({ type: "product", target_url: url });
  const second = await queue.enqueue({ type: "product", target_url: `${url}/2` });
  for (const { id } of [first, second]) expect((await queue.dequeue())?.id).toBe(id);

  await expect(other.completeJob(first.id)).rejects.toMatchObject({ code: "JOB_NOT_DEQUEUED" });
  await queue.completeJob(first.id, { books: 2 });
  expect(await queue.failJob(second.id, new Error("503"))).toMatchObject({ state: "scheduled", attempts: 1 });

  expect(await getJob(db, BigInt(first.id))).toMatchObject({ state: "completed", result: { books: 2 } });
  await expect(queue.completeJob(first.id)).rejects.toMatchObject({ code: "JOB_NOT_DEQUEUED" });
  await expect(queue.failJob("1x", new Error("503"))).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
});

test("a claim whose lease expired is refused, and the next owner's is not", async ({ open, db }) => {
  const [slow, quick] = [open(), open()];
  const { id } = await slow.enqueue({ type: "product", target_url: url });
  const stale = (await slow.dequeue())!;

  await expireLease(db, await ownerOf(db, id));
  const fresh = await eventually(() => quick.dequeue(), within);

  expect(fresh).toMatchObject({ id, attempts: 2 });
  await expect(slow.completeJob(stale)).rejects.toMatchObject({
    code: "LEASE_LOST",
    facts: { jobId: BigInt(id), attempt: 1 },
  });
  await expect(slow.failJob(stale, new Error("late"))).rejects.toMatchObject({ code: "LEASE_LOST" });
  await quick.completeJob(fresh);
  expect(await getJob(db, BigInt(id))).toMatchObject({ state: "completed", attempt: 2 });
});

test("a caller that lost its lease learns it from the job's signal, and dequeues under a new lease", async ({
  open,
  db,
}) => {
  const queue = open({ lease: 1_000 });
  const { id } = await queue.enqueue({ type: "product", target_url: url });
  const { signal } = (await queue.dequeue())!;

  await db.pool.query("update hark.workers set dead_at = clock_timestamp() where id = $1", [await ownerOf(db, id)]);
  await eventually(() => signal.aborted, within);
  expect(signal.reason).toMatchObject({ code: "LEASE_LOST" });

  expect(await eventually(() => queue.dequeue(), within)).toMatchObject({ id, attempts: 2 });
});

test("settling a job that was cancelled while it ran reports the cancellation", async ({ open, db }) => {
  const queue = open();
  await queue.enqueue({ type: "product", target_url: url });
  const job = (await queue.dequeue())!;

  await statements.cancelJob(db, { id: BigInt(job.id) });

  await expect(queue.completeJob(job)).rejects.toMatchObject({ code: "JOB_CANCELLED" });
});

test("invalid URL job payloads make dead letters, and the next job is dequeued", async ({ open, db }) => {
  const queue = open();
  const { rows } = await db.pool.query<{ id: bigint }>(
    `select hark.enqueue('product', '{"target_url": "nowhere"}') as id from generate_series(1, 10)`,
  );
  const { id } = await queue.enqueue({ type: "product", target_url: url, priority: 0 }); // behind them

  expect((await queue.dequeue())?.id).toBe(id);
  for (const bad of rows) {
    const dead = await eventually(async () => {
      const details = await getJob(db, bad.id);
      return details?.state === "dead" ? details : undefined;
    }, within);
    expect(dead).toMatchObject({ reason: "invalid_payload" });
  }
});

test("closing hands back unsettled jobs without using up an attempt", async ({ open, db }) => {
  const queue = open();
  const { id } = await queue.enqueue({ type: "product", target_url: url });
  const job = (await queue.dequeue())!;
  const waiting = queue.dequeue({ wait: 60_000 });

  await Promise.all([queue.close(), queue.close()]);

  expect(await waiting).toBeNull();
  expect(await getJob(db, BigInt(id))).toMatchObject({ state: "ready", attempt: 0 });
  expect((await db.pool.query("select * from hark.workers")).rowCount).toBe(0);
  await expect(queue.completeJob(job)).rejects.toMatchObject({ code: "QUEUE_CLOSED" });
});

test("a claim that was committed for this process but whose response was lost is handed back", async ({ open, db }) => {
  const queue = open({ lease: 1_000 });
  await queue.dequeue();
  const [{ id: worker }] = (await db.pool.query("select id from hark.workers")).rows;
  const { id } = await queue.enqueue({ type: "product", target_url: url });
  await statements.claimJobs(db, {
    queue: "default",
    limit: 1,
    worker,
    token: crypto.randomUUID(),
    types: ["product"],
  });

  expect(await eventually(() => queue.dequeue(), within)).toMatchObject({ id, attempts: 1 });
});

test("jobs of a dead process are dequeued by living ones, without any worker", async ({ open, db }) => {
  const dead = await registerWorker(db);
  const queue = open({ lease: 1_000 });
  const { id } = await queue.enqueue({ type: "product", target_url: url });
  await statements.claimJobs(db, {
    queue: "default",
    limit: 1,
    worker: dead,
    token: crypto.randomUUID(),
    types: ["product"],
  });
  expect(await queue.dequeue()).toBeNull();

  await expireLease(db, dead);

  expect(await eventually(() => queue.dequeue(), within)).toMatchObject({ id, attempts: 2 });
});

test("a lock is held by its value alone, even against the process that runs the job of that URL", async ({ open }) => {
  const [queue, other] = [open(), open()];
  await queue.enqueue({ type: "product", target_url: url });
  const job = (await queue.dequeue())!;

  const value = await queue.acquireLock(job.target_url, { ttl: 60_000 });
  expect(value).toEqual(expect.any(String));
  expect(await other.acquireLock(url, { ttl: 60_000 })).toBeNull();
  expect(await other.acquireLock(url, { ttl: 60_000, retryDelay: 10, maxRetries: 3 })).toBeNull();

  for (const wrong of ["", "x", "00000000-0000-4000-8000-000000000000"])
    expect(await other.releaseLock(url, wrong)).toBe(false);
  expect(await other.releaseLock(url, value!)).toBe(true);
  expect(await queue.releaseLock(url, value!)).toBe(false);
  expect(await other.acquireLock(url, { ttl: 60_000 })).toEqual(expect.any(String));
});

test("a caller that waits for a lock gets it when it is released", async ({ open }) => {
  const [queue, other] = [open(), open()];
  const value = (await queue.acquireLock(url, { ttl: 60_000 }))!;

  const waiting = other.acquireLock(url, { ttl: 60_000, retryDelay: 1_000, maxRetries: 30 });
  await queue.releaseLock(url, value);

  expect(await waiting).toEqual(expect.any(String));
});

test("a completion that the database rejects is told, and the job is a dead letter", async ({ open, db }) => {
  const queue = open();
  await queue.enqueue({ type: "product", target_url: `${url}/rejected`, priority: 9_000 });
  const job = (await queue.dequeue({ wait: 30_000 }))!;
  await db.pool.query(`alter table hark.finished_jobs add constraint rejected check (id <> ${job.id}) not valid`);
  try {
    await expect(queue.completeJob(job)).rejects.toMatchObject({ code: "OUTCOME_REJECTED" });
    expect(await getJob(db, BigInt(job.id))).toMatchObject({ state: "dead" });
  } finally {
    await db.pool.query("alter table hark.finished_jobs drop constraint rejected");
  }
});

test(
  "a result that is no JSON completes its job, also by a claim that no caller here has",
  { tags: ["FM-71"] },
  async ({ open, db }) => {
    const [queue, other] = [open(), open()];
    const results: [unknown, unknown][] = [
      [
        { at: new Date(0), id: 5n },
        { at: "1970-01-01T00:00:00.000Z", id: "5" },
      ],
      ["x".repeat(70_000), null],
      ["a\0b", null],
      [
        [undefined, () => {}],
        [null, null],
      ],
    ];
    for (const [place, [result, kept]] of results.entries()) {
      for (const settler of [queue, other]) {
        await queue.enqueue({ type: "product", target_url: `${url}/result/${place}`, priority: 9_000 });
        const job = (await queue.dequeue({ wait: 30_000 }))!;
        await settler.completeJob({ id: job.id, token: job.token }, result);
        expect(await getJob(db, BigInt(job.id))).toMatchObject({ state: "completed", result: kept });
      }
    }
  },
);

test("a job that ran when workers died twice is handed over beside another", async ({ open, db }) => {
  const queue = open();
  for (const path of ["calm", "suspect"])
    await queue.enqueue({ type: "product", target_url: `${url}/${path}`, priority: 9_000 });
  const calm = (await queue.dequeue({ wait: 30_000 }))!;
  await db.pool.query("update hark.jobs set crash_count = 2 where priority = 9000");
  const suspect = await queue.dequeue();
  expect(suspect?.target_url).toBe(`${url}/suspect`);
  for (const job of [calm, suspect!]) await queue.completeJob(job);
});

test("an invalid call is rejected before anything is written", async ({ open, db }) => {
  const queue = open();
  await queue.enqueue({ type: "product", target_url: url });
  const job = (await queue.dequeue())!;
  const wrongs = [
    () => queue.enqueue({ type: "email", target_url: url }),
    () => queue.enqueue({ type: "product", target_url: url, priority: 1.5 }),
    () => queue.dequeue({ wait: -1 }),
    () => queue.dequeue({ timeout: 1 } as never),
    () => queue.completeJob(undefined as never),
    () => queue.completeJob({ id: job.id, token: `","id":1` }),
    () => queue.completeJob({ id: "1x", token: job.token }),
    () => queue.failJob(job, new Error("x"), { retryAfter: -1 }),
    () => queue.acquireLock(url, { ttl: 1 }),
    () => queue.acquireLock("", { ttl: 1_000 }),
    () => queue.acquireLock(url, { ttl: 1_000, maxRetries: 1.5 }),
  ];

  for (const wrong of wrongs) {
    await expect(wrong(), wrong.toString()).rejects.toMatchObject({
      code: expect.stringMatching(/^(INVALID_OPTIONS|UNKNOWN_JOB_TYPE)$/),
    });
  }

  expect((await getJob(db, BigInt(job.id)))?.state).toBe("running");
  expect((await db.pool.query("select * from hark.locks")).rowCount).toBe(0);
});

test("the first call brings the schema, unless the queue is told not to", async ({ server, open }) => {
  const connectionString = await server.createDatabase();
  await expect(open({ connectionString, migrate: false }).dequeue()).rejects.toMatchObject({ code: "SCHEMA_VERSION" });

  expect(await open({ connectionString }).dequeue()).toBeNull();
});

test("a lock lasts for lockTTL unless the call says otherwise", async ({ open, db }) => {
  const queue = open({ lockTTL: 90_000 });
  await queue.acquireLock("own");
  await queue.acquireLock("given", { ttl: 30_000 });

  const { rows } = await db.pool.query(
    "select key, extract(epoch from expires_at - acquired_at)::float8 as lasts from hark.locks order by key desc",
  );
  expect(rows.map(({ key, lasts }) => [key, Math.round(lasts)])).toEqual([
    ["own", 90],
    ["given", 30],
  ]);
});

const listening = `select 1 from pg_stat_activity where application_name = 'hark listener' and datname = current_database()
  and state = 'idle' and query not ilike 'begin%'`;

async function ownerOf(
  db: { pool: { query(text: string, values: unknown[]): Promise<{ rows: { worker: string }[] }> } },
  id: string,
) {
  const { rows } = await db.pool.query("select worker from hark.running_jobs where id = $1", [id]);
  return rows[0]!.worker;
}

test("a queue with a cipher encrypts what it enqueues and decrypts what it dequeues; one without makes a dead letter of it", async ({
  open,
  db,
}) => {
  const cipher = createPayloadCipher({ keys: { a: randomBytes(32) }, current: "a" });
  const sealing = open({ cipher });
  const card = "4111-1111-1111-1111";
  const { id } = await sealing.enqueue({ type: "product", target_url: url, metadata: { card } });
  const { rows } = await db.pool.query("select payload::text from hark.jobs");
  expect(JSON.stringify(rows)).not.toContain(card);

  const job = await sealing.dequeue();
  expect(job).toMatchObject({ id, target_url: url, metadata: { card } });
  await sealing.completeJob(job!);

  const unread = await sealing.enqueue({ type: "product", target_url: url, metadata: { card } });
  expect(await open().dequeue()).toBeNull();
  expect(await getJob(db, BigInt(unread.id))).toMatchObject({ state: "dead", reason: "payload_unreadable" });
});
