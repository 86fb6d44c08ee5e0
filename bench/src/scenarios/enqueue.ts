import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { callFor } from "./callers.ts";

/** Room in the tally for a run's jobs. */
const capacity = 2_000_000;
/** How long the worker may handle the jobs afterwards, in ms, before the run is cut. */
const checkMs = 5_000;

/** Defaults do not change how an adapter enqueues, and the ceiling adds nothing here. */
const fits: NonNullable<Scenario["fits"]> = ({ isDefault, isCeiling }) => !isDefault && !isCeiling;

const metrics = [{ key: "perSecond", label: "enqueued", unit: "jobs/s" }];

/** Bulk calls of 1,000 jobs, one after the other, without a worker. */
async function bulk(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 50_000 : 100_000;
  await run.settleServer();
  const startedAt = nowMs();
  await run.load(0, jobs);
  const perSecond = jobs / ((nowMs() - startedAt) / 1_000);
  await checkWithWorker(run, jobs);
  return { perSecond };
}

/** Callers that each enqueue one job once the job before it is durable. */
async function single(run: Run, callers: number, hasWorker: boolean): Promise<Record<string, number>> {
  if (hasWorker) {
    await run.loadWorkers(1);
    await run.startWorkers({ capacity });
  }
  await run.settleServer();
  const startedAt = nowMs();
  const { sent, perSecond } = await callFor(callers, { forMs: run.isQuick ? 3_000 : 4_000 }, (n) =>
    run.producer.enqueue({ n }),
  );
  if (!hasWorker) {
    await checkWithWorker(run, sent);
    return { perSecond };
  }
  const isComplete = await run.untilHandled(sent, checkMs);
  const wholeMs = nowMs() - startedAt;
  const { handled } = await run.tally({ jobs: isComplete ? sent : 0 });
  return { perSecond, wholePerSecond: handled / (wholeMs / 1_000) };
}

/**
 * Lets a worker handle the enqueued jobs, each once. A slow adapter handles as many as it can in
 * `checkMs`.
 */
async function checkWithWorker(run: Run, jobs: number): Promise<void> {
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: jobs });
  const isComplete = await run.untilHandled(jobs, checkMs);
  await run.tally({ jobs: isComplete ? jobs : 0 });
}

export const enqueues: readonly Scenario[] = [
  { name: "enqueue:bulk", title: "Bulk enqueue, 1,000 jobs a call", metrics, fits, measure: bulk },
  {
    name: "enqueue:1",
    title: "Single enqueues, 1 caller",
    metrics,
    rounds: 1,
    fits,
    measure: (run) => single(run, 1, false),
  },
  { name: "enqueue:16", title: "Single enqueues, 16 callers", metrics, fits, measure: (run) => single(run, 16, false) },
  {
    name: "enqueue:worker",
    title: "Single enqueues, 16 callers, the worker running",
    metrics: [...metrics, { key: "wholePerSecond", label: "enqueued and drained", unit: "jobs/s" }],
    fits,
    measure: (run) => single(run, 16, true),
  },
];
