// @module-tag SEC-22
import { defineJob, openDatabase, QueueFullError, silentLogger } from "@hark/core";
import { defineUrlJob, startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { describe, expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { call } from "../support/http.ts";
import { countJobs } from "../support/jobs.ts";
import { test as base } from "../support/logins.ts";

/*
 * SEC-22, queues: a producer with a limit is refused while so many ready jobs wait, and told when
 * to retry.
 */

const job = defineJob("test.deep");

const test = base.extend("limited", ({ db }) => {
  return (maxDepth: number | Record<string, number>) => createProducer({ database: db, maxDepth });
});

async function refusal(work: Promise<unknown>): Promise<QueueFullError> {
  const error = await work.then(
    () => new Error("it was accepted"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(QueueFullError);
  return error as QueueFullError;
}

test("the first job over the limit is refused, and nothing of it is written", async ({ limited, queue, db }) => {
  const producer = limited({ [queue]: 10 });
  const enqueue = () => producer.enqueue(job, {}, { queue });
  for (let n = 0; n < 10; n += 1) await enqueue();
  const error = await refusal(enqueue());
  expect(error).toMatchObject({ code: "QUEUE_FULL", facts: { queue, depth: 10, limit: 10 } });
  expect(error.message).toContain(`The queue ${queue} is full`);
  await refusal(producer.enqueueMany([{ job, payload: {}, options: { queue } }]));
  expect(await countJobs(db, queue)).toEqual({ ready: 10 });

  // Another queue has room, and a delayed job does not count yet.
  await producer.enqueue(job, {}, { queue: `${queue}-other` });
  await producer.enqueue(job, {}, { queue, delay: "1h" });
});

test("a batch is accepted whole or not at all", async ({ limited, queue, db }) => {
  const producer = limited(100);
  const many = (count: number) =>
    producer.enqueueMany(Array.from({ length: count }, () => ({ job, payload: {}, options: { queue } })));
  await many(60);
  await refusal(many(41));
  await many(40);
  expect(await countJobs(db, queue)).toEqual({ ready: 100 });

  const source = Array.from({ length: 5 }, () => ({ job, payload: {}, options: { queue } }));
  await expect(producer.enqueueFrom(source)).rejects.toMatchObject({
    code: "ENQUEUE_FROM",
    cause: { code: "QUEUE_FULL" },
  });
});

test("concurrent calls do not exceed the limit", async ({ limited, queue, db }) => {
  const producer = limited(50);
  const answers = await Promise.allSettled(Array.from({ length: 500 }, () => producer.enqueue(job, {}, { queue })));
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(50);
  expect(await countJobs(db, queue)).toEqual({ ready: 50 });
});

test(
  "in a transaction on the only connection the depth is read on that connection",
  { tags: ["FM-49"] },
  async ({ databaseUrl, queue }) => {
    const db = openDatabase({ connectionString: databaseUrl, maxConnections: 1 });
    const producer = createProducer({ database: db, maxDepth: 2 });
    try {
      await db.transaction(async (tx) => {
        await producer.in(tx).enqueue(job, {}, { queue });
        await producer.in(tx).enqueue(job, {}, { queue });
        await refusal(producer.in(tx).enqueue(job, {}, { queue }));
      });
    } finally {
      await db.close();
    }
  },
);

test("as soon as workers have made room, jobs are accepted again", async ({ limited, queue, startWorker }) => {
  const producer = limited(5);
  for (let n = 0; n < 5; n += 1) await producer.enqueue(job, {}, { queue });
  const { retryAfterMs } = await refusal(producer.enqueue(job, {}, { queue }));
  await startWorker([implement(job, () => ({}))], { queues: { [queue]: 5 } });
  const enqueued = await eventually(() => producer.enqueue(job, {}, { queue }), {
    withinMs: 55_000,
    everyMs: retryAfterMs / 10,
  });
  expect(enqueued.status).toBe("inserted");
});

test("counting reads at most the limit, however long the queue is, at most ten times a second per producer", async ({
  queue,
  pool,
  db,
}) => {
  await pool.query(
    `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
     select $1, 'test.deep', '{}', 0, 0, 3, 0, now(), now(), 'ready' from generate_series(1, 100000)`,
    [queue],
  );
  const { rows } = await pool.query<{ "QUERY PLAN": string }>(
    `explain (analyze, costs off, timing off, summary off)
     select count(*) from (select from hark.jobs where queue = '${queue}' and state = 'ready' limit 100) counted`,
  );
  expect(rows.map((row) => row["QUERY PLAN"]).join("\n")).toMatch(/rows=100(\.00)? loops=1/);

  const asked: string[] = [];
  const query = db.query.bind(db);
  const counting = {
    ...db,
    query: (statement: Parameters<typeof query>[0]) => (asked.push(statement.name ?? ""), query(statement)),
  };
  const producer = createProducer({ database: counting, maxDepth: 100 });
  const startedAt = performance.now();
  let calls = 0;
  for (; performance.now() - startedAt < 1_000; calls += 1) await refusal(producer.enqueue(job, {}, { queue }));
  const depths = asked.filter((name) => name === "queue-depth").length;
  expect(calls).toBeGreaterThan(100);
  expect(depths).toBeGreaterThan(0);
  expect(depths).toBeLessThanOrEqual(12);
  expect(asked.filter((name) => name === "insert-jobs")).toEqual([]);
});

test("an invalid limit is refused, and without a limit nothing is counted", async ({ limited, queue, db }) => {
  for (const wrong of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, { [queue]: 0 }, { "Bad Name": 5 }])
    expect(() => limited(wrong)).toThrow(/must be an integer|cannot name a queue/);
  const asked: string[] = [];
  const query = db.query.bind(db);
  const counting = {
    ...db,
    query: (statement: Parameters<typeof query>[0]) => (asked.push(statement.name ?? ""), query(statement)),
  };
  await createProducer({ database: counting }).enqueue(job, {}, { queue });
  await createProducer({ database: counting, maxDepth: { other: 1 } }).enqueue(job, {}, { queue });
  expect(asked).toEqual(["insert-jobs", "insert-jobs"]);
});

describe("over HTTP", () => {
  test("a full queue is 429 with Retry-After, even for a server whose role cannot read tables", async ({
    logIn,
    queue,
    pool,
  }) => {
    const { url } = await logIn("hark_producer");
    await using server = await startServer({
      connectionString: url,
      port: 0,
      token: "t",
      logger: silentLogger,
      maxDepth: { [queue]: 2 },
      jobs: [defineUrlJob("product", { queue })],
    });
    const post = (page: number) =>
      call(`${server.url}/api/queue/jobs`, {
        method: "POST",
        headers: { authorization: "Bearer t" },
        body: { type: "product", target_url: `https://shop.example/${page}` },
      });
    expect([(await post(1)).status, (await post(2)).status]).toEqual([201, 201]);
    const { status, headers, body } = await post(3);
    expect([status, headers["retry-after"], body.error.code]).toEqual([429, "1", "QUEUE_FULL"]);
    expect((await pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(2);
  });
});
