import { defineJob, EnqueueFromError, InvalidOptionsError, InvalidPayloadError } from "@hark/core";
import type { JobRequest } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import * as z from "zod";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { countJobs } from "../support/jobs.ts";

const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test("a stream of jobs is inserted in order, and wakes a sleeping worker", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.imported", { queue });
  await startWorker([implement(job, () => {})], { pollInterval: "10m" });
  async function* jobs() {
    for (let n = 0; n < 250; n += 1) yield { job, payload: n };
  }

  expect(await producer.enqueueFrom(jobs(), { batchSize: 100 })).toEqual({ inserted: 250, duplicates: 0 });

  await eventually(async () => (await countJobs(db, queue))["completed"] === 250, {
    withinMs: 30_000,
    what: "250 completed jobs",
  });
  const { rows } = await db.pool.query("select payload from hark.finished_jobs where queue = $1 order by id", [queue]);
  expect(rows.map(({ payload }) => payload as number)).toEqual(Array.from({ length: 250 }, (_, n) => n));
});

test("unique keys and keys work within a batch and across batches", async ({ db, producer, queue }) => {
  const job = defineJob("test.imported", {
    queue,
    key: (payload) => `key ${String(payload)}`,
    uniqueKey: (payload) => `n ${String(payload)}`,
  });

  const requests = [1, 1, 2, 3, 1, 3].map((payload) => ({ job, payload }));
  expect(await producer.enqueueFrom(requests, { batchSize: 4 })).toEqual({ inserted: 3, duplicates: 3 });

  const { rows } = await db.pool.query("select key from hark.jobs where queue = $1 order by id", [queue]);
  expect(rows.map(({ key }) => key as string)).toEqual(["key 1", "key 2", "key 3"]);
});

test("an invalid job stops the import with its position; its batch is not written, the batches before it are", async ({
  db,
  producer,
  queue,
}) => {
  const job = defineJob("test.imported", { queue, payload: z.number().max(24) });
  let isReturned = false;
  function* jobs() {
    try {
      for (let n = 0; n < 1_000; n += 1) yield { job, payload: n };
    } finally {
      isReturned = true;
    }
  }

  const error = await failure(producer.enqueueFrom(jobs(), { batchSize: 10 }));

  expect(error).toBeInstanceOf(EnqueueFromError);
  expect(error).toMatchObject({ facts: { first: 25, last: 25, inserted: 20, duplicates: 0 } });
  expect((error as Error).cause).toBeInstanceOf(InvalidPayloadError);
  expect(isReturned).toBe(true);
  expect(await countJobs(db, queue)).toEqual({ ready: 20 });
});

test("the error for a batch that the database rejects names its first and last job, and the batch is not written", async ({
  db,
  producer,
  queue,
}) => {
  const job = defineJob("test.imported", { queue });
  await db.pool.query("alter table hark.jobs add constraint no_13 check (payload <> '13') not valid");
  try {
    const requests = Array.from({ length: 40 }, (_, n) => ({ job, payload: n }));
    const error = await failure(producer.enqueueFrom(requests, { batchSize: 10 }));

    expect(error).toMatchObject({ facts: { first: 10, last: 19, inserted: 10 }, cause: { constraint: "no_13" } });
    expect(await countJobs(db, queue)).toEqual({ ready: 10 });
  } finally {
    await db.pool.query("alter table hark.jobs drop constraint no_13");
  }
});

test("while an insert waits, only one more batch is pulled from the source", async ({ db, producer, queue }) => {
  const job = defineJob("test.imported", { queue });
  let pulled = 0;
  function* jobs(): Generator<JobRequest> {
    while (pulled < 200) yield { job, payload: (pulled += 1) };
  }
  const client = await db.pool.connect();
  let imported: Promise<unknown>;
  let pulledMeanwhile: number;
  try {
    await client.query("begin; lock table hark.jobs in exclusive mode");
    imported = producer.enqueueFrom(jobs(), { batchSize: 10 });
    await eventually(
      async () =>
        (await db.pool.query("select from pg_locks where relation = 'hark.jobs'::regclass and not granted"))
          .rowCount === 1,
      { withinMs: 30_000, what: "the insert that waits" },
    );
    pulledMeanwhile = pulled;
    await client.query("rollback");
  } finally {
    client.release(true);
  }

  expect(await imported).toEqual({ inserted: 200, duplicates: 0 });
  expect(pulledMeanwhile).toBe(20);
});

test("an import in a transaction is committed or rolled back with it", async ({ db, producer, queue }) => {
  const job = defineJob("test.imported", { queue });
  const requests = Array.from({ length: 30 }, (_, n) => ({ job, payload: n }));
  for (const [end, ready] of [
    ["rollback", {}],
    ["commit", { ready: 30 }],
  ] as const) {
    const client = await db.pool.connect();
    await client.query("begin");
    expect(await producer.in(client).enqueueFrom(requests, { batchSize: 10 })).toEqual({ inserted: 30, duplicates: 0 });
    expect(await countJobs(db, queue)).toEqual({});
    await client.query(end);
    client.release();
    expect(await countJobs(db, queue)).toEqual(ready);
  }
});

test("an invalid batch size is rejected, and nothing is pulled", async ({ producer }) => {
  let isPulled = false;
  const jobs: Iterable<JobRequest> = {
    [Symbol.iterator]() {
      isPulled = true;
      return [].values();
    },
  };
  for (const batchSize of [0, 1.5, 10_001, Number.NaN]) {
    expect(await failure(producer.enqueueFrom(jobs, { batchSize }))).toBeInstanceOf(InvalidOptionsError);
  }
  expect(isPulled).toBe(false);
});
