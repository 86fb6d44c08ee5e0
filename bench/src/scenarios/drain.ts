import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import type { Workbench } from "../workbench.ts";

const jobs = 50_000;

/** Jobs a second of one worker with the defaults that empties a queue of no-op jobs, and of one call that fills it. */
export async function drain({ producer, startWorker }: Workbench): Promise<Record<string, number>> {
  const nothing = defineJob("bench.drain", { queue: "drain" });
  const calledAt = performance.now();
  for (let sent = 0; sent < jobs; sent += 1_000) {
    await producer.enqueueMany(Array.from({ length: 1_000 }, (_, n) => ({ job: nothing, payload: { n: sent + n } })));
  }
  const enqueuedMs = performance.now() - calledAt;

  let settled = 0;
  const all = Promise.withResolvers<void>();
  const startedAt = performance.now();
  await using worker = await startWorker([implement(nothing, () => {})], { queues: 100 });
  worker.events.on("settled", () => {
    settled += 1;
    if (settled === jobs) all.resolve();
  });
  await all.promise;
  return {
    enqueuedPerSecond: jobs / (enqueuedMs / 1_000),
    drainedPerSecond: jobs / ((performance.now() - startedAt) / 1_000),
  };
}
