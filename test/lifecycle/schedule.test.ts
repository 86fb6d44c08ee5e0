import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { countJobs, untilState } from "../support/jobs.ts";
import { makeDue } from "../support/pass-time.ts";

/** Longer than any test runs, so a job that starts was woken. */
const never = { pollInterval: "10m", promoteInterval: "10m" } as const;

test(
  "a delayed job starts when it is due and not earlier, without any poll",
  { tags: ["AWAKE-1", "FM-23"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.delayed", { queue });
    await startWorker([implement(job, () => {})], never);

    const { id } = await producer.enqueue(job, {}, { delay: 500 });

    const { createdAt, startedAt, runAt } = await untilState(db, id, "completed");
    const waitedMs = startedAt!.getTime() - createdAt.getTime();
    expect(waitedMs).toBeGreaterThanOrEqual(499); // both are cut to whole ms
    // Promotion sets run_at to the moment the job became ready, between due and claimed.
    expect(runAt.getTime()).toBeGreaterThanOrEqual(createdAt.getTime() + 499);
    expect(runAt.getTime()).toBeLessThanOrEqual(startedAt!.getTime());
  },
);

test(
  "a job waits for its runAt by the database's clock",
  { tags: ["FM-23"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.at", { queue });
    await startWorker([implement(job, () => {})], never);
    const { rows } = await db.pool.query<{ at: Date }>("select clock_timestamp() + interval '400 ms' as at");
    const runAt = rows[0]!.at;

    const { id } = await producer.enqueue(job, {}, { runAt });

    expect((await untilState(db, id, "completed")).startedAt!.getTime()).toBeGreaterThanOrEqual(runAt.getTime());
  },
);

test("a runAt in the past means now", async ({ db, producer, queue }) => {
  const job = defineJob("test.past", { queue });

  const { id } = await producer.enqueue(job, {}, { runAt: new Date(Date.now() - 3_600_000) });

  await untilState(db, id, "ready");
});

test("scheduling an earlier job ends the scheduler's sleep", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.earlier", { queue });
  await startWorker([implement(job, () => {})], never);
  const later = await producer.enqueue(job, {}, { delay: "5m" });
  const sooner = await producer.enqueue(job, {}, { delay: 300 });

  await untilState(db, sooner.id, "completed", { withinMs: 30_000 });

  await untilState(db, later.id, "scheduled");
  await makeDue(db, later.id); // a job moved forward by hand is found too
  await untilState(db, later.id, "completed", { withinMs: 30_000 });
});

test(
  "jobs that came due while no worker ran start with the first one",
  { tags: ["FM-34"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.overdue", { queue });
    const jobs = await producer.enqueueMany(
      Array.from({ length: 50 }, () => ({ job, payload: {}, options: { delay: "1h" as const } })),
    );
    for (const { id } of jobs) await makeDue(db, id);
    expect(await countJobs(db, queue)).toEqual({ scheduled: 50 });

    await startWorker([implement(job, () => {})], never);

    for (const { id } of jobs) await untilState(db, id, "completed");
  },
);

test("more due jobs than one batch are all promoted, each once, by any number of workers", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.wave", { queue });
  const starts = new Map<bigint, number>();
  const handler = implement(job, ({ id }) => void starts.set(id, (starts.get(id) ?? 0) + 1));
  for (let workers = 0; workers < 3; workers += 1) await startWorker([handler], { ...never, queues: { [queue]: 200 } });

  const jobs = await producer.enqueueMany(
    Array.from({ length: 2_500 }, () => ({ job, payload: {}, options: { delay: 1_000 } })),
  );

  await untilState(db, jobs.at(-1)!.id, "completed", { withinMs: 30_000 });
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 2_500 });
  expect([...starts.values()].every((count) => count === 1)).toBe(true);
});
