import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { afterEach, expect, vi } from "vitest";
import { test } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";

const hourMs = 3_600_000;
/** Longer than any test, so a job that starts was started by a wake-up. */
const never = { pollInterval: "10m", promoteInterval: "10m" } as const;

afterEach(() => void vi.useRealTimers());

// FM-23: PostgreSQL's clock decides. Only Date is wrong here, for both producer and worker. Timers
// run normally, as in a process whose wall clock is wrong.
for (const [how, skewMs] of [
  ["an hour ahead", hourMs],
  ["an hour behind", -hourMs],
] as const) {
  test(
    `with a wall clock ${how}, jobs start when they are due, wait as long as they should, and keep their owner`,
    { tags: ["AWAKE-1", "FM-23"] },
    async ({ db, producer, queue, startWorker }) => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + skewMs });
      const job = defineJob("test.skewed", { queue, retry: { attempts: 2, backoff: { base: 400, jitter: 0 } } });
      const handler = implement(job, ({ payload, attempt }) => {
        if (payload === "fail" && attempt === 1) throw new Error("once more");
      });
      const worker = await startWorker([handler], { ...never, lease: "1500ms", name: queue });
      const identity = async () =>
        (await db.pool.query<{ id: string }>("select id from hark.workers where name = $1", [queue])).rows;
      const before = await identity();
      const { rows } = await db.pool.query<{ at: Date }>("select clock_timestamp() + interval '500 ms' as at");

      const now = await producer.enqueue(job, "now");
      const delayed = await producer.enqueue(job, "delayed", { delay: 500 });
      const at = await producer.enqueue(job, "at", { runAt: rows[0]!.at });
      const failing = await producer.enqueue(job, "fail");

      for (const [{ id }, leastMs] of [
        [now, 0],
        [delayed, 500],
        [at, 400], // a database time, read shortly before the insert
        [failing, 400],
      ] as const) {
        const { startedAt, createdAt } = await untilState(db, id, "completed", { withinMs: 15_000 });
        const waitedMs = startedAt!.getTime() - createdAt.getTime();
        expect(waitedMs).toBeGreaterThanOrEqual(leastMs - 1); // both are truncated to whole ms
        expect(waitedMs).toBeLessThan(leastMs + 2_000); // 1 s late is the bound; 1 s more for a busy machine
      }
      vi.setSystemTime(Date.now() - skewMs * 2); // it jumps, as when it is set by hand
      const later = await producer.enqueue(job, "delayed", { delay: 2_000 }); // longer than the lease
      const { startedAt, createdAt } = await untilState(db, later.id, "completed", { withinMs: 15_000 });
      expect(startedAt!.getTime() - createdAt.getTime()).toBeGreaterThanOrEqual(1_999);
      expect(await identity()).toEqual(before);
      expect(worker.health()).toMatchObject({ isHealthy: true });
    },
  );
}
