import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";

/** Room for the tally of a run's jobs. */
const capacity = 2_000_000;

const metrics = [{ key: "perSecond", label: "enqueued", unit: "jobs/s" }];

/** Bulk calls of 1,000 jobs, one after the other, without a worker. */
async function bulk(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 50_000 : 200_000;
  await run.settleServer();
  const startedAt = nowMs();
  await run.load(0, jobs);
  return { perSecond: jobs / ((nowMs() - startedAt) / 1_000) };
}

/** Callers that enqueue one job each time the one before it is durable. */
async function single(run: Run, callers: number, hasWorker: boolean): Promise<Record<string, number>> {
  if (hasWorker) {
    await run.loadWorkers(1);
    await run.startWorkers({ capacity });
  }
  await run.settleServer();
  let sent = 0;
  const startedAt = nowMs();
  const endAt = startedAt + (run.isQuick ? 4_000 : 15_000);
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (nowMs() < endAt) {
        const n = sent;
        sent += 1;
        await run.producer.enqueue({ n });
      }
    }),
  );
  const enqueuedMs = nowMs() - startedAt;
  if (!hasWorker) return { perSecond: sent / (enqueuedMs / 1_000) };
  const isComplete = await run.untilHandled(sent, 60_000);
  const elapsedMs = nowMs() - startedAt;
  if (!isComplete) throw new Error(`${run.adapter.name}: ${run.handled} of ${sent} jobs were handled.`);
  await run.tally({ jobs: sent });
  return { perSecond: sent / (enqueuedMs / 1_000), wholePerSecond: sent / (elapsedMs / 1_000) };
}

export const enqueues: readonly Scenario[] = [
  { name: "enqueue:bulk", title: "Bulk enqueue, 1,000 jobs a call", metrics, measure: bulk },
  { name: "enqueue:1", title: "Single enqueues, 1 caller", metrics, measure: (run) => single(run, 1, false) },
  { name: "enqueue:16", title: "Single enqueues, 16 callers", metrics, measure: (run) => single(run, 16, false) },
  {
    name: "enqueue:worker",
    title: "Single enqueues, 16 callers, the worker running",
    metrics: [...metrics, { key: "wholePerSecond", label: "enqueued and drained", unit: "jobs/s" }],
    measure: (run) => single(run, 16, true),
  },
];
