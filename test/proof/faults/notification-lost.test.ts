import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";

const pollMs = 1_000;
/** The interval varies by a tenth. The rest is for a busy machine. */
const withinMs = pollMs * 1.1 + 2_000;

test(
  "a job inserted while the listener is cut off starts within the poll interval",
  { tags: ["AWAKE-3", "FM-05"] },
  async ({ db, proxy, producer, queue, startWorker }) => {
    const job = defineJob("test.unheard", { queue });
    const worker = await startWorker([implement(job, () => {})], { listenUrl: proxy.url, pollInterval: pollMs });
    await proxy.set("refuse");
    await expect.poll(() => worker.health().listener, { timeout: 30_000 }).not.toBe("listening");

    const { id } = await producer.enqueue(job, {});

    const { startedAt, createdAt } = await untilState(db, id, "completed", { withinMs });
    expect(startedAt!.getTime() - createdAt.getTime()).toBeLessThan(withinMs);
    expect(worker.health().listener).not.toBe("listening");
  },
);

test(
  "a job that no trigger announced starts within the poll interval",
  { tags: ["AWAKE-3", "FM-05"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.unannounced", { queue });
    await startWorker([implement(job, () => {})], { pollInterval: pollMs, promoteInterval: pollMs });
    await db.pool.query(
      "alter table hark.jobs disable trigger jobs_announce_insert, disable trigger jobs_announce_update",
    );
    try {
      const now = await producer.enqueue(job, {});
      const delayed = await producer.enqueue(job, {}, { delay: 300 });

      await untilState(db, now.id, "completed", { withinMs });
      await untilState(db, delayed.id, "completed", { withinMs: withinMs * 2 }); // promoted by one poll, claimed by the next
    } finally {
      await db.pool.query(
        "alter table hark.jobs enable trigger jobs_announce_insert, enable trigger jobs_announce_update",
      );
    }
  },
);

test(
  "a job inserted during an outage is found as soon as the listener is back, long before the poll",
  { tags: ["FM-01", "FM-03"] },
  async ({ db, proxy, producer, queue, startWorker }) => {
    const job = defineJob("test.missed", { queue });
    const worker = await startWorker([implement(job, () => {})], {
      listenUrl: proxy.url,
      pollInterval: "10m",
      promoteInterval: "10m",
    });
    await proxy.set("refuse");
    await expect.poll(() => worker.health().listener, { timeout: 30_000 }).not.toBe("listening");
    const now = await producer.enqueue(job, {});
    const delayed = await producer.enqueue(job, {}, { delay: 100 });

    await proxy.set("ok");

    await untilState(db, now.id, "completed", { withinMs: 60_000 });
    await untilState(db, delayed.id, "completed", { withinMs: 60_000 });
  },
);

test("forged notifications start no job and stop none", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.forged", { queue });
  await startWorker([implement(job, () => {})], { pollInterval: "10m", promoteInterval: "10m" });
  const forged = [
    "",
    "nobody",
    queue,
    "-1",
    "NaN",
    "1e400",
    "\u0001",
    "x".repeat(7_900),
    `${Date.now() - 1e9}`,
    `${Date.now() + 1e12}`,
  ];

  for (const channel of ["job_ready", "job_scheduled", "job_cancelled", "lock_released"]) {
    for (const payload of forged) await db.pool.query("select pg_notify($1, $2)", [channel, payload]);
  }

  const now = await producer.enqueue(job, {});
  const delayed = await producer.enqueue(job, {}, { delay: 100 });
  await untilState(db, now.id, "completed");
  await untilState(db, delayed.id, "completed");
});
