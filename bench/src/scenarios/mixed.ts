import { longestIdleness } from "../idleness.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";

const processes = 3;
const limitMs = 60_000;

/** Handlers of 1 ms to 1 s, as many of each order of magnitude, in an order that is the same for every adapter. */
async function mixed(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 300 : 1_500;
  await run.loadWorkers(processes);
  await run.startWorkers({ capacity: jobs, isTimed: true });
  const payloads = Array.from({ length: jobs }, (_, n) => ({ n, ms: Math.round(1_000 ** ((n * 0.618_034) % 1)) }));
  await run.producer.enqueueMany(payloads);
  if (!(await run.untilHandled(jobs, limitMs))) {
    throw new Error(`${run.adapter.name}: ${run.handled} of ${jobs} jobs were handled within ${limitMs} ms.`);
  }
  const { reports, startedAt, endedAt } = await run.tally({ jobs });
  const spans = reports.map((report) =>
    payloads
      .filter(({ n }) => report.counts[n])
      .map(({ n }) => ({ startedAt: report.startedAt[n]!, endedAt: report.endedAt[n]! })),
  );
  return { idleMs: longestIdleness(spans), wholeMs: Math.max(...endedAt) - Math.min(...startedAt) };
}

export const mixes: readonly Scenario[] = [
  {
    name: "mixed",
    title: "Handlers of 1 ms to 1 s, three worker processes",
    metrics: [
      { key: "idleMs", label: "longest time that a process ran nothing while jobs had not started", unit: "ms" },
      { key: "wholeMs", label: "first start to last end", unit: "ms" },
    ],
    measure: mixed,
  },
];
