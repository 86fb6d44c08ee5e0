import { createLocks, defineJob, deleteDeadJob, getJob, listDeadJobs, requeueDeadJob } from "@hark/core";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

/* What an HTTP handler gets from Hark it can send as JSON: ids are text there. */

const json = (answer: unknown) => JSON.parse(JSON.stringify(answer)) as unknown;
const digits = expect.stringMatching(/^\d+$/);

test("answers of producers", async ({ producer, db, queue }) => {
  const job = defineJob("json.answer");
  const options = { queue, uniqueKey: queue };
  const first = await producer.enqueue(job, {}, options);
  expect(json(first)).toEqual({ id: String(first.id), status: "inserted" });
  expect(json(await producer.enqueue(job, {}, options))).toEqual({ id: String(first.id), status: "duplicate" });
  expect(
    json(
      await producer.enqueueMany([
        { job, payload: {} },
        { job, payload: {}, options },
      ]),
    ),
  ).toEqual([
    { id: digits, status: "inserted" },
    { id: String(first.id), status: "duplicate" },
  ]);
  const inTransaction = await db.transaction((tx) => producer.in(tx).enqueue(job, {}, { queue }));
  expect(json(inTransaction)).toEqual({ id: String(inTransaction.id), status: "inserted" });
});

test("answers of the functions that look after jobs, and locks", async ({ db, queue, pool }) => {
  const insert = (id: number) =>
    pool.query(
      `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
                                   error, started_at, finished_at)
       values ($1, $2, 'json.answer', '{"n": 1}', 0, 1, 1, 0, now(), now(), 'failed', 'Error: no', now(), now())`,
      [id, queue],
    );
  await insert(1_000_001);
  await insert(1_000_002);
  await pool.query(
    `insert into hark.attempts (job_id, queue, type, attempt, ending, finished_at) values (1000001, $1, 'json.answer', 1, 'failed', now())`,
    [queue],
  );
  expect(json(await getJob(db, 1_000_001n))).toMatchObject({
    id: "1000001",
    payload: { n: 1 },
    attempts: [{ jobId: "1000001" }],
  });
  expect(json(await listDeadJobs(db))).toMatchObject([{ id: "1000001" }, { id: "1000002" }]);
  expect(json(await requeueDeadJob(db, 1_000_001n))).toMatchObject({ id: "1000001" });
  expect(json(await deleteDeadJob(db, 1_000_002n))).toMatchObject({ id: "1000002" });
  await using lock = await createLocks({ db }).acquire("json", { ttlMs: 10_000 });
  expect(json(lock)).toMatchObject({ key: "json", fence: digits });
});
