import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { rateBetween, type Sample } from "../statistics.ts";

const batch = 200;
const lanes = 2;
/** More than any adapter can take in: the tally has room for so many jobs a second. */
const roomPerSecond = 150_000;
/** Once so many jobs wait, the producer rests: it shall feed the worker, not bury it. */
const backlog = 20_000;

/** Two lanes enqueue batches while one worker drains: jobs per second that went all the way, from the first batch on. */
async function steady(run: Run, seconds: number): Promise<Record<string, number>> {
  const capacity = roomPerSecond * seconds;
  await run.loadWorkers(1);
  await run.startWorkers(capacity);
  const samples: Sample[] = [{ atMs: nowMs(), count: 0 }];
  const endAt = nowMs() + seconds * 1_000;
  let sent = 0;
  const feeding = Array.from({ length: lanes }, async () => {
    while (nowMs() < endAt) {
      if (sent - run.handled > backlog) await new Promise((resolve) => setTimeout(resolve, 1));
      else {
        const from = sent;
        sent += batch;
        await run.producer.enqueueMany(Array.from({ length: batch }, (_, n) => ({ n: from + n })));
      }
    }
  });
  await run.untilHandled(Number.POSITIVE_INFINITY, seconds * 1_000, samples);
  await Promise.all(feeding);
  const isComplete = await run.untilHandled(sent, 60_000);
  await run.tally({ isComplete: false });
  if (!isComplete) throw new Error(`${run.adapter.name}: ${sent - run.handled} of ${sent} jobs were not handled.`);
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
