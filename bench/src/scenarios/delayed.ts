import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { percentile, type Workbench } from "../workbench.ts";

const jobs = 1_000;
const overMs = 30_000;

/** Delayed jobs at random offsets, each enqueued alone: how long after its run_at its handler starts, by the database's clock, in ms. */
export async function delayed({ db, producer, startWorker }: Workbench): Promise<Record<string, number>> {
  const latenesses: number[] = [];
  const all = Promise.withResolvers<void>();
  const due = defineJob("bench.due");
  const { rows } = await db.query({
    text: "select extract(epoch from clock_timestamp())::float8 * 1000 as now_ms",
    values: [],
  });
  const aheadMs = Number(rows[0]!.now_ms) - Date.now(); // both clocks stand on one machine: their offset does not drift
  await using _worker = await startWorker([
    implement(due, ({ payload }) => {
      latenesses.push(Date.now() + aheadMs - (payload as { dueAtMs: number }).dueAtMs);
      if (latenesses.length === jobs) all.resolve();
    }),
  ]);
  for (let n = 0; n < jobs; n += 1) {
    // Some time to enqueue them all first: what is due before it is enqueued measures nothing.
    const dueAtMs = Math.ceil(Date.now() + aheadMs + 100 + Math.random() * overMs);
    await producer.enqueue(due, { dueAtMs }, { runAt: new Date(dueAtMs) });
  }
  await all.promise;
  return {
    p50Ms: percentile(latenesses, 0.5),
    p99Ms: percentile(latenesses, 0.99),
    worstMs: Math.max(...latenesses),
    earliestMs: Math.min(...latenesses),
  };
}
