import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { rateBetween } from "../statistics.ts";
import { flow } from "./flow.ts";

/** More than any adapter can take in: the tally has room for so many jobs a second. */
const roomPerSecond = 100_000;

/** Enqueueing and draining at the same time: jobs per second that went all the way, from the first batch on. */
async function steady(run: Run, seconds: number): Promise<Record<string, number>> {
  const capacity = roomPerSecond * seconds;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity });
  await run.settleServer();
  const { samples, sent, isComplete } = await flow(run, { jobs: capacity, forMs: seconds * 1_000 });
  await run.tally({ jobs: isComplete ? sent : 0 });
  const first = rateBetween(samples, 0, 0.2);
  const last = rateBetween(samples, 0.8, 1);
  return { perSecond: rateBetween(samples, 0, 1), first, last, lastToFirst: last / first };
}

const perSecond = { key: "perSecond", label: "enqueued and drained", unit: "jobs/s" };

export const steadies: readonly Scenario[] = [
  {
    name: "steady:30s",
    title: "Enqueue and drain together",
    metrics: [perSecond],
    measure: (run) => steady(run, run.isQuick ? 6 : 30),
  },
  {
    name: "steady:5min",
    isLong: true,
    title: "Enqueue and drain together for five minutes",
    metrics: [
      perSecond,
      { key: "first", label: "first fifth", unit: "jobs/s" },
      { key: "last", label: "last fifth", unit: "jobs/s" },
      { key: "lastToFirst", label: "last : first", unit: "" },
    ],
    measure: (run) => steady(run, run.isQuick ? 15 : 300),
  },
];
