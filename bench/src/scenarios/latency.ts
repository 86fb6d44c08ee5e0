import { setTimeout as sleep } from "node:timers/promises";
import { eventually, nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { percentile } from "../statistics.ts";

/** What the two scenarios of an idle worker show. */
export const percentiles = [
  { key: "p50Ms", label: "p50", unit: "ms", isLessBetter: true },
  { key: "p99Ms", label: "p99", unit: "ms", isLessBetter: true },
];

/** One job at a time for an idle worker: from the call of enqueue() to the start of the handler. */
export async function idle(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 200 : 600; // with 300, one of which opens the connection, p99 varied from 5.6 to 20 ms
  const limitMs = 16_000;
  const calledAt: number[] = [];
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: jobs, isTimed: true });
  await sleep(1_000); // past the first polls of a worker that has just started
  const deadline = nowMs() + limitMs;
  while (calledAt.length < jobs && nowMs() < deadline) {
    const n = calledAt.push(nowMs()) - 1;
    await run.producer.enqueue({ n });
    if (!(await eventually(() => run.handled > n, 30_000, 1)))
      throw new Error(`${run.adapter.name}: job ${n} is lost.`);
    await sleep(10 + Math.random() * 10); // the worker falls asleep, at a random point of its own timers
  }
  const { startedAt } = await run.tally({ jobs: calledAt.length });
  const latencies = calledAt.map((at, n) => startedAt[n]! - at);
  return { p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) };
}

/**
 * Single enqueues at a fixed rate, even if earlier ones have not finished: from when a job was due
 * to be enqueued to its start.
 */
async function openLoop(run: Run, perSecond: number): Promise<Record<string, number>> {
  const seconds = run.isQuick ? 4 : 5;
  const limitMs = 4_000;
  const jobs = perSecond * seconds;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: jobs, isTimed: true });
  await sleep(1_000);
  const beganAt = nowMs() + 100;
  const dueAt = (n: number): number => beganAt + (n / perSecond) * 1_000;
  const isRefused = new Uint8Array(jobs);
  let refused = 0;
  const calls: Promise<unknown>[] = [];
  for (let n = 0; n < jobs;) {
    for (; n < jobs && dueAt(n) <= nowMs(); n += 1) {
      const number = n;
      calls.push(
        run.producer.enqueue({ n }).catch(() => {
          isRefused[number] = 1;
          refused += 1;
        }),
      );
    }
    await sleep(1);
  }
  const offeredAt = nowMs();
  const handledInTime = run.handled;
  const isComplete =
    (await eventually(() => run.handled >= jobs - refused, limitMs)) &&
    (await Promise.race([Promise.all(calls).then(() => true), sleep(1_000, false)]));
  const elapsedMs = nowMs() - beganAt;
  const { startedAt, handled } = await run.tally({ jobs: isComplete && refused === 0 ? jobs : 0 });
  // A job that had not started when the run was cut has waited at least this long.
  const cutAt = nowMs();
  const latencies: number[] = [];
  for (let n = 0; n < jobs; n += 1) if (!isRefused[n]) latencies.push((startedAt[n] || cutAt) - dueAt(n));
  const rate = isComplete ? handledInTime / ((offeredAt - beganAt) / 1_000) : handled / (elapsedMs / 1_000);
  return {
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    perSecond: rate,
    behindSeconds: Math.max(0, (jobs - refused - handledInTime) / rate),
    refused,
  };
}

const openLoopMetrics = [
  ...percentiles,
  { key: "perSecond", label: "sustained", unit: "jobs/s" },
  { key: "behindSeconds", label: "behind at the end", unit: "s" },
  { key: "refused", label: "calls refused", unit: "" },
];

const fits: NonNullable<Scenario["fits"]> = ({ isDefault, isCeiling }) => !isDefault && !isCeiling;

export const latencies: readonly Scenario[] = [
  { name: "latency:idle", title: "Start latency of an idle worker", metrics: percentiles, fits, measure: idle },
  {
    name: "latency:500",
    title: "Start latency, 500 single enqueues/s offered",
    rounds: 1, // it shows which adapters keep up; latency:2000 compares them
    metrics: openLoopMetrics,
    fits,
    measure: (run) => openLoop(run, 500),
  },
  {
    name: "latency:2000",
    title: "Start latency, 2,000 single enqueues/s offered",
    metrics: openLoopMetrics,
    fits,
    measure: (run) => openLoop(run, 2_000),
  },
];
