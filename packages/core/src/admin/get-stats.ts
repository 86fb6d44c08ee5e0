import type { Database } from "../database.ts";
import { statement } from "../statements/statement.ts";
import { queryableOf } from "../transaction.ts";
import { countWaiting } from "./count-waiting.ts";
import { asJsonRows, shownRow } from "./shown-rows.ts";

/** How many jobs stand in each state. */
export interface StateCounts {
  scheduled: number;
  ready: number;
  parked: number;
  running: number;
  completed: number;
  dead: number;
  cancelled: number;
}

export interface Stats {
  /** Scheduled, ready or parked. */
  queued: number;
  running: number;
  completed: number;
  /** Dead letters. */
  failed: number;
  states: StateCounts;
  queues: Record<string, StateCounts>;
  /**
   * More jobs wait than are counted one by one: what is `queued`, in all and by queue, is an
   * estimate from a sample.
   */
  isEstimated: boolean;
}

const runningByQueue = statement<Record<string, never>, { queue: string; count: number }>(
  "count-running",
  [],
  asJsonRows(`select queue, count(*)::integer as count from hark.running_jobs group by queue`),
  (row) => shownRow(row) as { queue: string; count: number },
);

interface FinishedCount {
  readonly queue: string;
  readonly completed: number;
  readonly cancelled: number;
  readonly dead: number;
}

const finishedByQueue = statement<Record<string, never>, FinishedCount>(
  "sum-finished",
  [],
  asJsonRows(`select queue, sum(completed)::float8 as completed, sum(cancelled)::float8 as cancelled, greatest(0, sum(dead))::float8 as dead
     from hark.stats group by queue`),
  (row) => shownRow(row) as FinishedCount,
);

/**
 * Counts jobs by state, in all and by queue. What is finished is summed from kept deltas, never
 * counted over history; what waits is counted up to 100,000 jobs and estimated beyond, so an answer
 * takes about as long however many there are.
 */
export async function getStats(db: Database): Promise<Stats> {
  // One snapshot: a job that moves between two counts would be in both or in neither.
  const { waiting, isEstimated, running, finished } = await db.transaction(async (client) => {
    await client.query("set transaction isolation level repeatable read read only");
    const tx = queryableOf(client);
    return {
      ...(await countWaiting(tx)),
      running: await runningByQueue(tx, {}),
      finished: await finishedByQueue(tx, {}),
    };
  });

  // A map, since a queue may be called "constructor".
  const byQueue = new Map<string, StateCounts>();
  const of = (queue: string) => {
    const counts = byQueue.get(queue) ?? noJobs();
    byQueue.set(queue, counts);
    return counts;
  };
  for (const row of waiting) of(row.queue)[row.state] = row.count;
  for (const row of running) of(row.queue).running = row.count;
  for (const { queue, completed, cancelled, dead } of finished)
    Object.assign(of(queue), { completed, cancelled, dead });

  const states = noJobs();
  for (const counts of byQueue.values()) {
    for (const state of Object.keys(states) as (keyof StateCounts)[]) states[state] += counts[state];
  }
  return {
    queued: states.scheduled + states.ready + states.parked,
    running: states.running,
    completed: states.completed,
    failed: states.dead,
    states,
    queues: Object.fromEntries(byQueue),
    isEstimated,
  };
}

const noJobs = (): StateCounts => ({
  scheduled: 0,
  ready: 0,
  parked: 0,
  running: 0,
  completed: 0,
  dead: 0,
  cancelled: 0,
});
