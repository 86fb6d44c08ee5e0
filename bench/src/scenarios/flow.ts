import { setTimeout as sleep } from "node:timers/promises";
import type { Payload } from "../adapter.ts";
import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Metric } from "../scenario.ts";
import { rateBetween, type Sample } from "../statistics.ts";

const batch = 200;
const lanes = 2;
/**
 * The producer pauses while this many jobs wait, so that it feeds the worker and does not flood it.
 */
const backlog = 20_000;
/** The same limit during the warm-up: low, so that slow adapters finish it soon. */
const warmUpBacklog = 1_000;

/** How long the jobs that wait at the end may take to drain, in ms. */
const drainMs = 10_000;

export interface FlowOptions {
  /** The number of the first job. */
  readonly from?: number;
  /** How many jobs to enqueue at most. */
  readonly jobs: number;
  /** When to stop enqueueing, in ms from now. The samples end there. */
  readonly forMs: number;
  readonly backlog?: number;
  readonly extra?: Omit<Payload, "n">;
}

export interface Flow {
  /**
   * The number of handled jobs every few ms, from the first batch to the last. The final drain is
   * not sampled.
   */
  readonly samples: readonly Sample[];
  readonly sent: number;
  /** Whether all jobs were handled in the end. False if the adapter was too slow to drain them. */
  readonly isComplete: boolean;
}

/**
 * Two lanes enqueue batches while the workers drain, until there are `jobs` or the time is over.
 * Then the waiting jobs are drained.
 */
export async function flow(
  run: Run,
  { from = 0, jobs, forMs, extra, backlog: most = backlog }: FlowOptions,
): Promise<Flow> {
  const handledBefore = run.handled;
  const startedAt = nowMs();
  const endAt = startedAt + forMs;
  const samples: Sample[] = [];
  let sent = 0;
  const handled = (): number => run.handled - handledBefore;
  const isFeeding = (): boolean => sent < jobs && nowMs() < endAt;
  const feed = async (): Promise<void> => {
    while (isFeeding()) {
      if (sent - handled() > most) {
        await sleep(1);
        continue;
      }
      const first = from + sent;
      const size = Math.min(batch, jobs - sent);
      sent += size;
      await run.producer.enqueueMany(Array.from({ length: size }, (_, n) => ({ n: first + n, ...extra })));
    }
  };
  const sample = async (): Promise<void> => {
    while (isFeeding()) {
      samples.push({ atMs: nowMs(), count: handled() });
      run.throwIfFailed();
      await sleep(5);
    }
    samples.push({ atMs: nowMs(), count: handled() });
  };
  await Promise.all([...Array.from({ length: lanes }, feed), sample()]);
  const isComplete = await run.untilHandled(handledBefore + sent, drainMs);
  return { samples, sent, isComplete };
}

/** Room in the tally for the warm-up jobs of a run. */
export const warmUpRoom = 300_000;

/**
 * Lets the workers handle jobs from number 0 on that are not measured. Then connections, plans and
 * compiled code exist, and tables and indexes have pages, before the measurement starts. Returns
 * how many jobs there were.
 */
export async function warmUp(run: Run, extra?: Omit<Payload, "n">): Promise<number> {
  await run.settleServer(); // the tables have no pages yet, so what ANALYZE records of them does not last
  const forMs = run.isQuick ? 2_000 : 3_000;
  const { sent } = await flow(run, { jobs: warmUpRoom, forMs, backlog: warmUpBacklog, ...(extra ? { extra } : {}) });
  return sent;
}

/**
 * The share of the time after which the rate counts. Before it, the producers fill the queue at the
 * workers' cost.
 */
const fillingShare = 0.25;

/** The figures of a flow: its rate once the queue is filled, and whether the rate lasts. */
export const flowMetrics: readonly Metric[] = [
  { key: "perSecond", label: "enqueued and drained", unit: "jobs/s" },
  { key: "first", label: "first fifth", unit: "jobs/s" },
  { key: "last", label: "last fifth", unit: "jobs/s" },
  { key: "lastToFirst", label: "last : first", unit: "" },
];

export function flowFigures(samples: readonly Sample[]): Record<string, number> {
  const first = rateBetween(samples, 0, 0.2);
  const last = rateBetween(samples, 0.8, 1);
  return { perSecond: rateBetween(samples, fillingShare, 1), first, last, lastToFirst: last / first };
}
