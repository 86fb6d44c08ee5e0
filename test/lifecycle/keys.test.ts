import { randomUUID } from "node:crypto";
import { cancelJob, defineJob, getJob, type JobDetails } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { claim, completed, countJobs, insertJob, registerWorker, untilState } from "../support/jobs.ts";

/** Longer than any test runs, so a job that starts was handed its key. */
const never = { pollInterval: "10m", promoteInterval: "10m" } as const;

test(
  "jobs of one key run one at a time, oldest first, and waiting ones are parked without an attempt",
  { tags: ["FM-39"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.page", { queue, key: (payload) => (payload as { url: string }).url });
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
    const started: number[] = [];
    const handler = implement(job, async ({ payload, attempt }) => {
      expect(attempt).toBe(1);
      const { place } = payload as { place: number };
      started.push(place);
      await gates[place]!.promise;
    });
    await startWorker([handler], never);

    const jobs = await producer.enqueueMany(
      gates.map((_, place) => ({ job, payload: { url: "https://shop.example/", place } })),
    );

    for (const place of gates.keys()) {
      await eventually(() => started.length === place + 1, { withinMs: 30_000, what: `start ${place}` });
      await expect
        .poll(() => statesOf(jobs), { timeout: 30_000 })
        .toEqual([...Array(place).fill("completed"), "running", ...Array(3 - place).fill("parked")]);
      gates[place]!.resolve();
    }
    await untilState(db, jobs[3]!.id, "completed");
    expect(started).toEqual([0, 1, 2, 3]);
    expect((await getJob(db, jobs[3]!.id))!.attempts).toEqual([]);

    async function statesOf(enqueued: readonly { id: bigint }[]): Promise<JobDetails["state"][]> {
      return Promise.all(enqueued.map(async ({ id }) => (await getJob(db, id))!.state));
    }
  },
);

test(
  "different keys, other queues and jobs without a key do not wait for each other",
  { tags: ["FM-39"] },
  async ({ producer, queue, startWorker }) => {
    const here = defineJob("test.here", { queue });
    const there = defineJob("test.there", { queue: `${queue}.there` });
    const gate = Promise.withResolvers<void>();
    let running = 0;
    const wait = () => {
      running += 1;
      return gate.promise;
    };
    await startWorker([implement(here, wait), implement(there, wait)], never);

    await producer.enqueue(here, {}, { key: "one" });
    await producer.enqueue(here, {}, { key: "other" });
    await producer.enqueue(there, {}, { key: "one" });
    await producer.enqueue(here, {});
    await producer.enqueue(here, {});

    await eventually(() => running === 5, { withinMs: 30_000, what: "five at once" });
    gate.resolve();
  },
);

test("the most urgent parked job gets the key", async ({ db, queue }) => {
  const worker = await registerWorker(db);
  await insertJob(db, { queue, key: "k" });
  const [running] = await claim(db, { queue, worker });
  const old = await insertJob(db, { queue, key: "k" });
  const urgent = await insertJob(db, { queue, key: "k", priority: 9 });
  expect(await claim(db, { queue, worker, limit: 10 })).toEqual([]);
  await statements.parkJobs(db, { queue, keys: ["k"], limit: 10 });
  expect(await countJobs(db, queue)).toEqual({ running: 1, parked: 2 });

  await statements.completeJobs(db, completed(running!));

  expect((await getJob(db, urgent))!.state).toBe("ready");
  expect((await getJob(db, old))!.state).toBe("parked");
});

test("of a job parked before and one that its transaction adds, a settled job hands on to the older", async ({
  db,
  queue,
}) => {
  const worker = await registerWorker(db);
  await insertJob(db, { queue, key: "k" });
  const [running] = await claim(db, { queue, worker });
  const parked = await insertJob(db, { queue, key: "k" });
  await statements.parkJobs(db, { queue, keys: ["k"], limit: 10 });

  const added = await db.transaction(async (tx) => {
    const id = await insertJob(tx, { queue, key: "k" });
    await statements.completeJobs(tx, completed(running!));
    return id;
  });

  expect((await getJob(db, parked))!.state).toBe("ready");
  const [next] = await claim(db, { queue, worker });
  expect(next!.id).toBe(parked);
  expect((await getJob(db, added))!.state).not.toBe("running");
});

test("where another ready job comes before, one job of each key becomes ready with the settle", async ({
  db,
  queue,
}) => {
  const worker = await registerWorker(db);
  const keys = ["a", "b"];
  for (const key of keys) await insertJob(db, { queue, key });
  const running = await claim(db, { queue, worker, limit: 2 });
  const before = await insertJob(db, { queue });
  const firsts = [];
  for (const key of keys) firsts.push(await insertJob(db, { queue, key }));
  for (const key of keys) await insertJob(db, { queue, key });
  await statements.parkJobs(db, { queue, keys, limit: 10 });
  const held = await db.pool.query("update hark.running_jobs set hands_off = true where queue = $1", [queue]);
  expect(held.rowCount).toBe(2);

  const request = { ...completed(...running), worker, token: randomUUID(), types: ["test.plain"] };
  const { settled, claimed } = await statements.completeAndClaimNext(db, request);

  expect(settled).toHaveLength(2);
  expect(claimed).toEqual([]);
  expect(await countJobs(db, queue)).toEqual({ completed: 2, ready: 3, parked: 2 });
  for (const id of [before, ...firsts]) expect((await getJob(db, id))!.state).toBe("ready");
});

test("retry, death, cancellation and rescue each hand the key over", { tags: ["STRICT-1"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const ways: Record<string, (job: statements.ClaimedJob) => Promise<unknown>> = {
    retry: ({ id, token }) =>
      statements.retryJobs(
        db,
        statements.retriedOf([{ id, token, ending: "error", error: "no", delayMs: 3_600_000, attempt: 1 }]),
      ),
    death: ({ id, token }) =>
      statements.buryJobs(
        db,
        statements.buriedOf([{ id, token, ending: "fatal", reason: "unrecoverable", error: "no" }]),
      ),
    cancellation: ({ id }) => cancelJob(db, id),
    rescue: async () => {
      await statements.leaveWorkers(db, { id: worker });
      await statements.rescueJobs(db, { limit: 100 });
    },
  };
  for (const [key, leave] of Object.entries(ways)) {
    await insertJob(db, { queue, key });
    const [running] = await claim(db, { queue, worker });
    const next = await insertJob(db, { queue, key, priority: 1 });
    await statements.parkJobs(db, { queue, keys: [key], limit: 10 });
    expect((await getJob(db, next))!.state, key).toBe("parked");

    await leave(running!);

    expect((await getJob(db, next))!.state, key).toBe("ready");
    await cancelJob(db, next);
  }
});

test("a parked job is freed when the ready one that it waited behind is cancelled", async ({ db, queue }) => {
  const worker = await registerWorker(db);
  await insertJob(db, { queue, key: "k" });
  const [running] = await claim(db, { queue, worker });
  const [first, second] = [await insertJob(db, { queue, key: "k" }), await insertJob(db, { queue, key: "k" })];
  await statements.parkJobs(db, { queue, keys: ["k"], limit: 10 });
  await statements.completeJobs(db, completed(running!));
  expect((await getJob(db, first))!.state).toBe("ready");
  expect((await getJob(db, second))!.state).toBe("parked");

  expect(await cancelJob(db, first)).toBe("ready");

  expect((await getJob(db, second))!.state).toBe("ready");
});

test("a job is never parked behind a key that has just become free", { tags: ["FM-40"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  await insertJob(db, { queue, key: "k" });
  const [running] = await claim(db, { queue, worker });
  const next = await insertJob(db, { queue, key: "k" });

  // The settle is open while the parker reads: it skips the row that is about to be deleted, and
  // says so.
  const settling = await db.pool.connect();
  await settling.query("begin");
  await statements.completeJobs(settling, completed(running!));
  expect(await statements.parkJobs(db, { queue, keys: ["k"], limit: 10 })).toEqual([]);
  await settling.query("commit");
  settling.release();

  expect((await getJob(db, next))!.state).toBe("ready");
});

test(
  "a hand-over waits for a parking in progress, and then finds the parked job",
  { tags: ["FM-40"] },
  async ({ db, queue }) => {
    const worker = await registerWorker(db);
    await insertJob(db, { queue, key: "k" });
    const [running] = await claim(db, { queue, worker });
    const next = await insertJob(db, { queue, key: "k" });

    const parking = await db.pool.connect();
    await parking.query("begin");
    expect(await statements.parkJobs(parking, { queue, keys: ["k"], limit: 10 })).toEqual([{ key: "k" }]);
    const settled = statements.completeJobs(db, completed(running!));
    await eventually(async () => (await db.pool.query("select from pg_locks where not granted")).rowCount === 1, {
      withinMs: 30_000,
      what: "the settle waiting",
    });
    await parking.query("commit");
    parking.release();
    await settled;

    expect((await getJob(db, next))!.state).toBe("ready");
  },
);

test(
  "the database rejects two running jobs of one key, whatever the code does",
  { tags: ["STRICT-1"] },
  async ({ db, queue }) => {
    const worker = await registerWorker(db);
    await insertJob(db, { queue, key: "k" });
    await claim(db, { queue, worker });

    const twin = db.pool.query(
      `insert into hark.running_jobs select (jsonb_populate_record(r, '{"id": 1152921504606846976}')).*
       from hark.running_jobs r where queue = $1`,
      [queue],
    );

    await expect(twin).rejects.toThrow(/running_jobs_key/);
  },
);
