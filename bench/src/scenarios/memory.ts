import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { flow, warmUp, warmUpRoom } from "./flow.ts";

const mebibyte = 1_048_576;

/**
 * Heap of a worker process after a garbage collection: once warmed up, and after very many more
 * jobs.
 */
async function memory(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 200_000 : 2_000_000;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: warmUpRoom + jobs });
  const from = await warmUp(run);
  const before = await heapBytes(run);
  const { sent, isComplete } = await flow(run, { from, jobs, forMs: run.isQuick ? 20_000 : 180_000 });
  const after = await heapBytes(run);
  await run.tally({ jobs: isComplete ? from + sent : 0 });
  return {
    grownMiB: (after - before) / mebibyte,
    beforeMiB: before / mebibyte,
    afterMiB: after / mebibyte,
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
      { key: "grownMiB", label: "grown", unit: "MiB", isLessBetter: true },
      { key: "beforeMiB", label: "before", unit: "MiB" },
      { key: "afterMiB", label: "after", unit: "MiB" },
      { key: "jobs", label: "jobs", unit: "" },
    ],
    rounds: 1, // an amount, not a time
    deadlineMs: 300_000,
    fits: ({ name }) => name === "hark",
    measure: memory,
  },
];
