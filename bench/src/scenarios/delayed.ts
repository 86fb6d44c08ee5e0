import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { percentile } from "../statistics.ts";
import { callEach } from "./callers.ts";

/**
 * Time to enqueue all jobs before the first is due, in ms. A job that is due before it is enqueued
 * measures nothing.
 */
const aheadMs = 3_000;
const callers = 16;

/** Jobs at random moments of a minute: how long after its moment each handler starts. */
async function delayed(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 1_000 : 10_000;
  const overMs = run.isQuick ? 6_000 : 60_000;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: jobs, isTimed: true });
  const beganAt = Date.now();
  const dueAt = Array.from({ length: jobs }, () => Math.ceil(beganAt + aheadMs + Math.random() * overMs));
  dueAt.sort((one, other) => one - other);
  // The epoch clock and the monotonic clock of one machine do not drift apart within a minute.
  const epochAheadMs = performance.timeOrigin + performance.now() - nowMs();
  let enqueuedLate = 0;
  await callEach(callers, { to: jobs }, async (n) => {
    await run.producer.enqueueAt!({ n }, dueAt[n]!);
    if (Date.now() > dueAt[n]!) enqueuedLate += 1;
  });
  await run.expectHandled(jobs, overMs + 30_000);
  const { startedAt } = await run.tally({ jobs });
  const lateness = dueAt.map((at, n) => startedAt[n]! + epochAheadMs - at);
  return {
    p50Ms: percentile(lateness, 0.5),
    p99Ms: percentile(lateness, 0.99),
    earliestMs: Math.min(...lateness),
    enqueuedLate,
  };
}

export const delays: readonly Scenario[] = [
  {
    name: "delayed",
    title: "Lateness of delayed jobs, 10,000 over 60 s (--quick: 1,000 over 6 s)",
    metrics: [
      { key: "p50Ms", label: "p50", unit: "ms", isLessBetter: true },
      { key: "p99Ms", label: "p99", unit: "ms", isLessBetter: true },
      { key: "earliestMs", label: "earliest", unit: "ms" },
      { key: "enqueuedLate", label: "enqueued after their time", unit: "jobs" },
    ],
    rounds: 1, // ten thousand moments in a minute are a large enough sample
    fits: ({ hasDelay, isDefault, isSlow }) => hasDelay && !isDefault && !isSlow,
    measure: delayed,
  },
];
