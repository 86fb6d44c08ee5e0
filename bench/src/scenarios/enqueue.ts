import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";

/** Room for the tally of a run's jobs. */
const capacity = 2_000_000;
/** How long the jobs may take to be handled afterwards, in ms, before the run is cut. */
const checkMs = 30_000;
const quickCheckMs = 5_000;

const metrics = [{ key: "perSecond", label: "enqueued", unit: "jobs/s" }];

/** Bulk calls of 1,000 jobs, one after the other, without a worker. */
async function bulk(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 50_000 : 200_000;
  await run.settleServer();
  const startedAt = nowMs();
  await run.load(0, jobs);
  const perSecond = jobs / ((nowMs() - startedAt) / 1_000);
  await checkWithWorker(run, jobs);
  return { perSecond };
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
  const perSecond = sent / ((nowMs() - startedAt) / 1_000);
  if (!hasWorker) {
    await checkWithWorker(run, sent);
    return { perSecond };
  }
  const isComplete = await run.untilHandled(sent, checkMs);
  const wholeMs = nowMs() - startedAt;
  const { handled } = await run.tally({ jobs: isComplete ? sent : 0 });
  return { perSecond, wholePerSecond: handled / (wholeMs / 1_000) };
}

/** Lets a worker handle what was enqueued, each job once; of a slow adapter as many as it can within a time. */
async function checkWithWorker(run: Run, jobs: number): Promise<void> {
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: jobs });
  const isComplete = await run.untilHandled(jobs, run.isQuick ? quickCheckMs : checkMs);
  await run.tally({ jobs: isComplete ? jobs : 0 });
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
