import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { flow } from "./flow.ts";

const warmUp = 20_000;
const mebibyte = 1_048_576;

/** Heap of a worker process after a garbage collection: warmed up, and after very many more jobs. */
async function memory(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 200_000 : 2_000_000;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: warmUp + jobs });
  await flow(run, { jobs: warmUp, forMs: 60_000 });
  const before = await heapBytes(run);
  const { sent, isComplete } = await flow(run, { from: warmUp, jobs, forMs: run.isQuick ? 20_000 : 300_000 });
  const after = await heapBytes(run);
  await run.tally({ jobs: isComplete ? warmUp + sent : 0 });
  return {
    beforeMiB: before / mebibyte,
    afterMiB: after / mebibyte,
    grownMiB: (after - before) / mebibyte,
    jobs: sent,
  };
}

async function heapBytes(run: Run): Promise<number> {
  const reports = await Promise.all(run.workers.map((worker) => worker.report()));
  return reports.reduce((sum, report) => sum + report.heapBytes, 0);
}

export const memories: readonly Scenario[] = [
  {
    name: "memory",
    title: "Heap of a worker process after a garbage collection, over 2 million jobs (--quick: 200 thousand)",
    metrics: [
      { key: "beforeMiB", label: "before", unit: "MiB" },
      { key: "afterMiB", label: "after", unit: "MiB" },
      { key: "grownMiB", label: "grown", unit: "MiB" },
      { key: "jobs", label: "jobs", unit: "" },
    ],
    measure: memory,
  },
];
