import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { flow, flowFigures, flowMetrics, warmUp, warmUpRoom } from "./flow.ts";

/** More jobs a second than any adapter can enqueue: the tally has room for this many. */
const roomPerSecond = 100_000;

/**
 * Enqueueing and draining at the same time: jobs per second from enqueue to completion, once the
 * worker is warm.
 */
async function steady(run: Run, seconds: number, { isAnalysed = false } = {}): Promise<Record<string, number>> {
  const capacity = roomPerSecond * seconds;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: warmUpRoom + capacity });
  const from = await warmUp(run);
  await run.settleServer({ isAnalysed });
  const { samples, sent, isComplete } = await flow(run, { from, jobs: capacity, forMs: seconds * 1_000 });
  await run.tally({ jobs: isComplete ? from + sent : 0 });
  return flowFigures(samples);
}

export const steadies: readonly Scenario[] = [
  {
    name: "steady:8s",
    title: "Enqueue and drain together",
    metrics: flowMetrics.slice(0, 1),
    fits: ({ isDefault }) => !isDefault,
    measure: (run) => steady(run, run.isQuick ? 5 : 8),
  },
  {
    name: "steady:analysed",
    rounds: 1, // it shows a collapse, not a percentage
    title: "Enqueue and drain together, after ANALYZE saw the queue empty",
    metrics: flowMetrics.slice(0, 1),
    fits: ({ isDefault, isCeiling, isSlow, store }) => !isDefault && !isCeiling && !isSlow && store === "postgresql",
    measure: (run) => steady(run, run.isQuick ? 5 : 8, { isAnalysed: true }),
  },
  {
    name: "steady:5min",
    isLong: true,
    rounds: 1, // its figure is a ratio within the run
    deadlineMs: 420_000,
    title: "Enqueue and drain together for five minutes (--quick: 15 s)",
    metrics: flowMetrics,
    fits: ({ name }) => name === "hark",
    measure: (run) => steady(run, run.isQuick ? 15 : 300),
  },
];
