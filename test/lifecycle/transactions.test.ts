import { defineJob, NotATransactionError } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { countJobs, untilState } from "../support/jobs.ts";

/** The notifications on job_ready and job_scheduled. */
const test = base.extend("heard", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
  const heard: string[] = [];
  /** Leaves out the salt, which is the end of the transaction's number. */
  const hear = (channel: string, payload = "") =>
    heard.push(channel === "job_ready" ? `job_ready ${payload.replace(/ \d{1,6}$/, "")}` : `${channel} ${payload}`);
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  client.on("notification", ({ channel, payload }) => hear(channel, payload));
  await client.connect();
  await client.query("listen job_ready; listen job_scheduled");
  onCleanup(() => client.end());
  return {
    all: heard,
    of: (queue: string) => heard.filter((line) => line.split(" ")[1] === queue),
    /** Opens the gate of each queue: without it, no producer notifies. */
    async sleepOn(...queues: string[]) {
      await statements.openNotifyGate(client, { queues });
    },
  };
});

test(
  "a job enqueued in a pg transaction exists, and wakes a worker, once that commits",
  { tags: ["KEPT-4"] },
  async ({ db, producer, queue, heard, startWorker }) => {
    const job = defineJob("test.mail", { queue });
    await heard.sleepOn(queue);
    await startWorker([implement(job, () => {})], { pollInterval: "10m" });
    const client = await db.pool.connect();
    await client.query("begin");
    const { id } = await producer.in(client).enqueue(job, { to: "you" });
    expect(await countJobs(db, queue)).toEqual({});
    expect(heard.of(queue)).toEqual([]);

    await client.query("commit");
    client.release();

    await untilState(db, id, "completed");
    expect(heard.of(queue)).toEqual([`job_ready ${queue} 1`]);
  },
);

test("a rollback removes the job and its wake-up", { tags: ["KEPT-4"] }, async ({ db, producer, queue, heard }) => {
  await heard.sleepOn(queue, `${queue}.after`);
  const job = defineJob("test.mail", { queue });
  const client = await db.pool.connect();
  await client.query("begin");
  await producer.in(client).enqueue(job, {});
  await producer.in(client).enqueueMany([
    { job, payload: 1 },
    { job, payload: 2, options: { delay: "1h" } },
  ]);
  await client.query("rollback");
  client.release();
  await producer.enqueue(job, {}, { queue: `${queue}.after` }); // notifications arrive in the order they were sent

  await eventually(() => heard.of(`${queue}.after`).length === 1, { withinMs: 30_000, what: "the later wake-up" });
  expect(heard.of(queue)).toEqual([]);
  expect(await countJobs(db, queue)).toEqual({});
});

test("a Drizzle transaction commits the job with its own rows", async ({ db, producer, queue, heard }) => {
  await heard.sleepOn(queue);
  const orm = drizzle(db.pool);
  const job = defineJob("test.mail", { queue });
  await orm.execute(sql`create table if not exists orders (id int)`);

  await expect(
    orm.transaction(async (tx) => {
      await tx.execute(sql`insert into orders values (1)`);
      await producer.in(tx).enqueue(job, { order: 1 });
      tx.rollback();
    }),
  ).rejects.toThrow();
  expect(await countJobs(db, queue)).toEqual({});

  const { id } = await orm.transaction(async (tx) => {
    await tx.execute(sql`insert into orders values (2)`);
    return producer.in(tx).enqueue(job, { order: 2, quote: "it's $1", list: [null, "ü"] });
  });

  expect((await untilState(db, id, "ready")).payload).toEqual({ order: 2, quote: "it's $1", list: [null, "ü"] });
  expect((await orm.execute(sql`select id from orders`)).rows).toEqual([{ id: 2 }]);
  await eventually(() => heard.of(queue).length === 1, { withinMs: 30_000, what: "one wake-up" });
});

test("a Drizzle savepoint that rolls back removes its jobs, and keeps the others", async ({ db, producer, queue }) => {
  const orm = drizzle(db.pool);
  const job = defineJob("test.mail", { queue });

  await orm.transaction(async (tx) => {
    await producer.in(tx).enqueue(job, "kept");
    await tx
      .transaction(async (inner) => {
        await producer.in(inner).enqueue(job, "undone");
        inner.rollback();
      })
      .catch(() => {});
  });

  const { rows } = await db.pool.query("select payload from hark.jobs where queue = $1", [queue]);
  expect(rows).toEqual([{ payload: "kept" }]);
});

test(
  "hark.enqueue in any client's transaction is committed or rolled back with it",
  { tags: ["KEPT-4"] },
  async ({ db, queue, heard, startWorker }) => {
    await heard.sleepOn(queue);
    const job = defineJob("test.sql", { queue });
    const seen: unknown[] = [];
    await startWorker([implement(job, ({ payload, priority, key }) => void seen.push([payload, priority, key]))]);
    const client = await db.pool.connect();
    const enqueue = `select hark.enqueue('test.sql', '{"n": 1}', queue => $1, priority => 4, key => 'k') as id`;

    await client.query("begin");
    await client.query(enqueue, [queue]);
    await client.query("rollback");
    await client.query("begin");
    const { rows } = await client.query<{ id: bigint }>(enqueue, [queue]);
    await client.query("commit");
    client.release();

    await untilState(db, rows[0]!.id, "completed");
    expect(seen).toEqual([[{ n: 1 }, 4, "k"]]);
    expect(heard.of(queue)).toEqual([`job_ready ${queue} 1`]);
  },
);

test(
  "a statement that inserts many jobs sends one wake-up for each queue with a sleeping worker, and one for the earliest due",
  { tags: ["FM-11"] },
  async ({ producer, queue, heard }) => {
    await heard.sleepOn(queue, `${queue}.two`, `${queue}.after`);
    const job = defineJob("test.mail", { queue });
    const before = heard.all.length;
    const soon = new Date(Date.now() + 950); // no other scheduled job is due earlier
    const later = new Date(Date.now() + 7_200_000);

    await producer.enqueueMany([
      ...Array.from({ length: 500 }, () => ({ job, payload: {} })),
      ...Array.from({ length: 500 }, () => ({ job, payload: {}, options: { queue: `${queue}.two` } })),
      { job, payload: {}, options: { runAt: later } },
      { job, payload: {}, options: { runAt: soon } },
    ]);
    await producer.enqueue(job, {}, { queue: `${queue}.after` });

    await eventually(() => heard.of(`${queue}.after`).length === 1, { withinMs: 30_000, what: "the later wake-up" });
    expect(heard.all.slice(before).toSorted()).toEqual(
      [
        `job_ready ${queue} 500`,
        `job_ready ${queue}.two 500`,
        `job_ready ${queue}.after 1`,
        `job_scheduled ${soon.getTime()}`,
      ].toSorted(),
    );
  },
);

test("an invalid transaction is rejected with a hint what to pass instead", async ({ db, producer, queue }) => {
  const job = defineJob("test.mail", { queue });
  const idle = await db.pool.connect();
  const wrong: [given: unknown, says: RegExp][] = [
    [db.pool, /got a pool.*pool\.connect\(\) after BEGIN/s],
    [drizzle(db.pool), /got a Drizzle database.*db\.transaction/s],
    [idle, /got a client without an open transaction.*query\("begin"\)/s],
    [{}, /an object without query\(\) or execute\(\)/],
    [undefined, /got undefined/],
    ["begin", /got "begin"/],
  ];
  try {
    for (const [given, says] of wrong) {
      const attempt = (async () => producer.in(given as never).enqueue(job, {}))();
      await expect(attempt).rejects.toThrow(NotATransactionError);
      await expect(attempt).rejects.toThrow(says);
    }
  } finally {
    idle.release();
  }
  expect(await countJobs(db, queue)).toEqual({});
});

test.for(["commit", "rollback"])(
  "an enqueuer that is used after %s writes nothing",
  { tags: ["FM-66"] },
  async (end, { db, producer, queue }) => {
    const job = defineJob("test.mail", { queue });
    const orm = drizzle(db.pool);
    const client = await db.pool.connect();
    try {
      // As a client of pg before 8.21, which does not know of its transaction.
      const query = (statement: { text: string; values: unknown[] }) => client.query(statement);
      for (const tx of [client, { query }]) {
        await client.query("begin");
        const enqueuer = producer.in(tx);
        await enqueuer.enqueue(job, {});
        await client.query("savepoint one");
        await enqueuer.enqueue(job, {});
        await client.query("rollback to savepoint one");
        await enqueuer.enqueue(job, {});
        await client.query(end);
        await expect(enqueuer.enqueue(job, {})).rejects.toBeInstanceOf(NotATransactionError);
        await expect(enqueuer.enqueueMany([{ job, payload: 1 }])).rejects.toBeInstanceOf(NotATransactionError);
        await expect(enqueuer.enqueueFrom([{ job, payload: 1 }])).rejects.toMatchObject({
          cause: { code: "NOT_A_TRANSACTION" },
        });
      }
      let late: ReturnType<typeof producer.in> | undefined;
      await orm
        .transaction(async (tx) => {
          late = producer.in(tx);
          await late.enqueue(job, {});
          await late.enqueue(job, {});
          if (end === "rollback") tx.rollback();
        })
        .catch((error: unknown) => expect(end, String(error)).toBe("rollback"));
      await expect(late!.enqueue(job, {})).rejects.toBeInstanceOf(NotATransactionError);
    } finally {
      client.release();
    }
    const ready = { ready: 6 };
    expect(await countJobs(db, queue)).toEqual(end === "commit" ? ready : {});
  },
);

test.for(["commit", "rollback"])(
  "an enqueuer that is used behind a %s that was not awaited writes nothing",
  { tags: ["FM-66"] },
  async (end, { db, producer, queue }) => {
    const job = defineJob("test.mail", { queue });
    const client = await db.pool.connect();
    try {
      await client.query("begin");
      const enqueuer = producer.in(client);
      const ended = client.query(end);
      await expect(enqueuer.enqueue(job, {})).rejects.toBeInstanceOf(NotATransactionError);
      await ended;
    } finally {
      client.release();
    }
    expect(await countJobs(db, queue)).toEqual({});
  },
);

test(
  "a client that knows of its transaction sends no more than the insert",
  { tags: ["FM-66"] },
  async ({ db, producer, queue }) => {
    const sent: string[] = [];
    await db.transaction(async (client) => {
      const query = client.query.bind(client) as (...given: unknown[]) => unknown;
      const counted = new Proxy(client, {
        get: (_, name) =>
          name === "query"
            ? (statement: { text: string }) => (sent.push(statement.text), query(statement))
            : typeof client[name as keyof typeof client] === "function"
              ? (client[name as keyof typeof client] as () => unknown).bind(client)
              : client[name as keyof typeof client],
      });
      await producer.in(counted).enqueue(defineJob("test.mail", { queue }), {});
    });
    expect(sent).toEqual([expect.stringContaining("insert_jobs")]);
  },
);
