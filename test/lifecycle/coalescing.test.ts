import { defineJob, ProducerClosedError } from "@hark/core";
import { createProducer } from "@hark/producer";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { startProxy } from "../support/proxy.ts";

const numbers = Array.from({ length: 100 }, (_, n) => n);

test("calls at the same time share their inserts, and get ids in their order", async ({ db, producer, queue }) => {
  const job = defineJob("test.together", { queue });

  const enqueued = await Promise.all(numbers.map((n) => producer.enqueue(job, n)));

  const { rows } = await db.pool.query<{ payload: number; transaction: string }>(
    "select payload, xmin::text as transaction from hark.jobs where queue = $1 order by id",
    [queue],
  );
  expect(rows.map(({ payload }) => payload)).toEqual(numbers);
  expect(enqueued.map(({ id }) => id)).toEqual(enqueued.map(({ id }) => id).toSorted((a, b) => (a < b ? -1 : 1)));
  expect(new Set(rows.map(({ transaction }) => transaction)).size).toBeLessThanOrEqual(3);
});

test("a job that the database rejects fails alone, with the database's error", async ({ db, producer, queue }) => {
  const job = defineJob("test.refused", { queue });
  await db.pool.query("alter table hark.jobs add constraint no_thirteen check (payload <> '13') not valid");
  try {
    const answers = await Promise.allSettled(numbers.map((n) => producer.enqueue(job, n)));

    const refused = answers.flatMap((answer, n) =>
      answer.status === "rejected" ? [[n, answer.reason.constraint]] : [],
    );
    expect(refused).toEqual([[13, "no_thirteen"]]);
    const { rows } = await db.pool.query("select payload from hark.jobs where queue = $1 order by id", [queue]);
    expect(rows.map(({ payload }) => payload)).toEqual(numbers.filter((n) => n !== 13));
  } finally {
    await db.pool.query("alter table hark.jobs drop constraint no_thirteen");
  }
});

test("only a job whose unique key is in an open transaction waits for it", async ({ db, producer, queue }) => {
  const job = defineJob("test.unique", { queue });
  const client = await db.pool.connect();
  try {
    await client.query("begin");
    await producer.in(client).enqueue(job, "first", { uniqueKey: "one" });
    let isAnswered = false;
    const waiting = producer.enqueue(job, "second", { uniqueKey: "one" }).finally(() => (isAnswered = true));

    expect(await producer.enqueue(job, "other")).toMatchObject({ status: "inserted" });
    expect(isAnswered).toBe(false);

    await client.query("rollback");
    expect(await waiting).toMatchObject({ status: "inserted" });
  } finally {
    client.release();
  }
});

test("close() waits for the calls before it, and rejects those after it", async ({ db, databaseUrl, queue }) => {
  const job = defineJob("test.closing", { queue });
  const own = createProducer({ connectionString: databaseUrl });
  await own.enqueue(job, "to connect");
  const calls = numbers.map((n) => own.enqueue(job, n));

  await own.close();

  expect(await Promise.all(calls)).toHaveLength(100);
  await expect(own.enqueue(job, "late")).rejects.toThrow(ProducerClosedError);
  await expect(own.enqueueMany([{ job, payload: "late" }])).rejects.toThrow(ProducerClosedError);
  expect((await db.pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(101);
});

test(
  "if the connection breaks during an insert, all its callers get an error, and all or none of its jobs exist",
  { tags: ["FM-30", "KEPT-6"] },
  async ({ db, databaseUrl, queue }) => {
    const job = defineJob("test.broken", { queue });
    await using proxy = await startProxy(databaseUrl);
    await using own = createProducer({ connectionString: proxy.url });
    await own.enqueue(job, "to connect");
    const client = await db.pool.connect();
    try {
      await client.query("begin; lock table hark.jobs in exclusive mode");
      const first = own.enqueue(job, "first"); // is sent at once, and waits for the lock
      await eventually(
        async () =>
          (await db.pool.query("select from pg_locks where relation = 'hark.jobs'::regclass and not granted"))
            .rowCount === 1,
        { withinMs: 30_000, what: "the insert that waits" },
      );
      const others = numbers.map((n) => own.enqueue(job, n));
      const answers = Promise.allSettled([first, ...others]);
      await proxy.set("refuse");

      for (const { status } of await answers) expect(status).toBe("rejected");
      await client.query("commit");
    } finally {
      client.release();
    }
    await eventually(
      async () =>
        (
          await db.pool.query(
            "select from pg_stat_activity where application_name = 'hark producer' and state = 'active'",
          )
        ).rowCount === 0,
      { withinMs: 30_000, what: "the end of the insert that was cut off" },
    );
    const { rows } = await db.pool.query("select payload from hark.jobs where queue = $1 order by id", [queue]);
    const payloads = rows.map(({ payload }) => payload as unknown);
    expect([["to connect"], ["to connect", "first"]]).toContainEqual(payloads); // the others were never sent
  },
);
