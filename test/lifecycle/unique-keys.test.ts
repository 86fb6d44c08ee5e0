import { cancelJob, defineJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { claim, countJobs, registerWorker, untilState } from "../support/jobs.ts";

test("while a job is unfinished, enqueueing its unique key returns its id; afterwards the key is free", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.book", { queue, uniqueKey: (payload) => (payload as { isbn: string }).isbn });
  const gate = Promise.withResolvers<void>();
  const book = { isbn: "978-0" };
  const first = await producer.enqueue(job, book);
  const whileReady = await producer.enqueue(job, book);
  await startWorker([implement(job, () => gate.promise)]);
  await untilState(db, first.id, "running");
  const whileRunning = await producer.enqueue(job, book);
  const other = await producer.enqueue(job, { isbn: "978-1" });

  gate.resolve();
  await untilState(db, first.id, "completed");
  const afterwards = await producer.enqueue(job, book);

  expect(first.status).toBe("inserted");
  expect(whileReady).toEqual({ id: first.id, status: "duplicate" });
  expect(whileRunning).toEqual({ id: first.id, status: "duplicate" });
  expect(other.status).toBe("inserted");
  expect(afterwards.status).toBe("inserted");
  expect(afterwards.id).not.toBe(first.id);
});

test(
  "a retry keeps the unique key; death, cancellation and rescue keep or free it by the state they lead to",
  { tags: ["FM-32", "STRICT-3"] },
  async ({ db, producer, queue }) => {
    const job = defineJob("test.plain", { queue, retry: { attempts: 2 } });
    const worker = await registerWorker(db);
    const again = async (uniqueKey: string) => (await producer.enqueue(job, {}, { uniqueKey })).status;
    for (const key of ["retried", "dead", "cancelled", "rescued"]) await producer.enqueue(job, {}, { uniqueKey: key });
    const [retried, dead, cancelled] = await claim(db, { queue, worker, limit: 3 });
    const { token } = retried!;

    await statements.retryJobs(
      db,
      statements.retriedOf([{ id: retried!.id, token, ending: "error", error: "", delayMs: 9e6, attempt: 1 }]),
    );
    expect(await again("retried")).toBe("duplicate");
    await statements.buryJobs(
      db,
      statements.buriedOf([{ id: dead!.id, token, ending: "fatal", reason: "unrecoverable", error: "no" }]),
    );
    expect(await again("dead")).toBe("inserted");
    await cancelJob(db, cancelled!.id);
    expect(await again("cancelled")).toBe("inserted");

    const dying = await registerWorker(db);
    await claim(db, { queue, worker: dying });
    await statements.leaveWorkers(db, { id: dying });
    await statements.rescueJobs(db, { limit: 10 });
    expect(await again("rescued")).toBe("duplicate");
  },
);

test(
  "many producers at once enqueue one job of a unique key, and get the same id",
  { tags: ["FM-32", "STRICT-3"] },
  async ({ db, databaseUrl, queue }) => {
    const job = defineJob("test.plain", { queue });
    const producers = Array.from({ length: 6 }, () =>
      createProducer({ connectionString: databaseUrl, maxConnections: 2 }),
    );
    try {
      for (let round = 0; round < 10; round += 1) {
        const uniqueKey = `round ${round}`;
        const answers = await Promise.all(
          producers.flatMap((producer) => [
            producer.enqueue(job, {}, { uniqueKey }),
            producer.enqueue(job, {}, { uniqueKey }),
          ]),
        );
        expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
        expect(answers.filter(({ status }) => status === "inserted")).toHaveLength(1);
      }
    } finally {
      await Promise.all(producers.map((producer) => producer.close()));
    }
    expect(await countJobs(db, queue)).toEqual({ ready: 10 });
  },
);

test(
  "batches that share unique keys in opposite order do not deadlock",
  { tags: ["FM-31"] },
  async ({ db, databaseUrl, queue }) => {
    const job = defineJob("test.plain", { queue });
    await using producer = createProducer({ connectionString: databaseUrl, maxConnections: 4 });
    const requests = Array.from({ length: 50 }, (_, place) => ({
      job,
      payload: {},
      options: { uniqueKey: `key ${place}` },
    }));

    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, turn) => producer.enqueueMany(turn % 2 ? requests : requests.toReversed())),
    );

    expect(answers.flat().filter(({ status }) => status === "inserted")).toHaveLength(50);
    expect(await countJobs(db, queue)).toEqual({ ready: 50 });
  },
);

test("a batch that contains a unique key twice inserts it once, and the key of one queue is free in another", async ({
  producer,
  queue,
}) => {
  const job = defineJob("test.plain", { queue });
  const uniqueKey = "twice";

  const [first, second, elsewhere] = await producer.enqueueMany([
    { job, payload: 1, options: { uniqueKey } },
    { job, payload: 2, options: { uniqueKey } },
    { job, payload: 3, options: { uniqueKey, queue: `${queue}.other` } },
  ]);

  expect(second).toEqual({ id: first!.id, status: "duplicate" });
  expect(elsewhere!.status).toBe("inserted");
});

test("a unique key is free after a rollback of its job", async ({ db, producer, queue }) => {
  const job = defineJob("test.plain", { queue });
  const client = await db.pool.connect();
  await client.query("begin");
  await producer.in(client).enqueue(job, {}, { uniqueKey: "undone" });
  await client.query("rollback");
  client.release();

  expect((await producer.enqueue(job, {}, { uniqueKey: "undone" })).status).toBe("inserted");
});
