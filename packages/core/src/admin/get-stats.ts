import { count, sum } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Database } from "../database.ts";
import { runningJobs, stats } from "../schema/index.ts";
import { countWaiting } from "./count-waiting.ts";

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
  /** More jobs wait than are counted one by one: what is `queued`, in all and by queue, is an estimate from a sample. */
  isEstimated: boolean;
}

/**
 * Counts jobs by state, in all and by queue. What is finished is summed from kept deltas, never counted over history; what waits
 * is counted up to 100,000 jobs and estimated beyond, so an answer takes about as long however many there are.
 */
export async function getStats({ pool }: Database): Promise<Stats> {
  // One snapshot: a job that moves between two counts would be in both or in neither.
  const { waiting, isEstimated, running, finished } = await drizzle(pool).transaction(
    async (tx) => ({
      ...(await countWaiting(tx)),
      running: await tx
        .select({ queue: runningJobs.queue, count: count() })
        .from(runningJobs)
        .groupBy(runningJobs.queue),
      finished: await tx
        .select({
          queue: stats.queue,
          completed: sum(stats.completed).mapWith(Number),
          cancelled: sum(stats.cancelled).mapWith(Number),
          dead: sum(stats.dead).mapWith(Number),
        })
        .from(stats)
        .groupBy(stats.queue),
    }),
    { isolationLevel: "repeatable read", accessMode: "read only" },
  );

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
