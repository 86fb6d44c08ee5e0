import { defineJob } from "@hark/core";
import { limits } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";

// FM-12: PostgreSQL refuses a notification of 8,000 bytes and rolls back the insert. Notifications
// hold no part of a job.
test(
  "the largest jobs, in a queue of the longest name, wake a worker that sleeps on it",
  { tags: ["FM-12"] },
  async ({ db, producer, startWorker }) => {
    const queue = `q${".:-_0123456789".repeat(5)}`.slice(0, 63);
    const job = defineJob(`t${"x".repeat(62)}`, { queue });
    const heard: string[] = [];
    const client = await db.pool.connect();
    client.on("notification", ({ payload = "" }) => heard.push(payload));
    await client.query("listen job_ready");
    const worker = await startWorker([implement(job, () => {})], { pollInterval: "10m", promoteInterval: "10m" });

    for (const bytes of [1, 7_999, 8_000, limits.payloadBytes]) {
      const payload = "x".repeat(Math.max(bytes - 2, 0));
      const options = { key: "k".repeat(limits.keyBytes), uniqueKey: "ü".repeat(limits.keyBytes / 2) };
      const { id } = await producer.enqueue(job, payload, options);
      await untilState(db, id, "completed", { withinMs: 15_000 });
      const many = await producer.enqueueMany(Array.from({ length: 20 }, () => ({ job, payload })));
      for (const each of many) await untilState(db, each.id, "completed", { withinMs: 15_000 });
    }
    await client.query("select 1"); // earlier notifications have arrived
    client.release(true);

    expect(worker.health()).toMatchObject({ isHealthy: true });
    expect(heard.filter((payload) => payload.startsWith(queue)).length).toBeGreaterThanOrEqual(4); // it slept and was notified
    expect(Math.max(...heard.map((payload) => Buffer.byteLength(payload)))).toBeLessThan(100);
  },
);
