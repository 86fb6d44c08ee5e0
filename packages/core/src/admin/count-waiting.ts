import type { Queryable } from "../database.ts";
import { asJsonRows, shownRow } from "./shown-rows.ts";

/** Waiting jobs that are counted one by one, in all: 13 ms for 50,000. */
const mostCounted = 100_000;

/**
 * Beyond them, rows of a queue or state that are still counted one by one, by an index, so that a
 * small queue is not lost. With more than ten queues, each gets its part of 100,000, and never
 * fewer than the least.
 */
const mostCountedEach = 10_000;
const leastCountedEach = 20;

/** Pages of the table that a sample reads: some 50,000 jobs of 100 B of payload. */
const sampledPages = 1_000;

export interface WaitingCount {
  queue: string;
  state: "scheduled" | "ready" | "parked";
  count: number;
}

/** What an index says about a queue and state: `isAll` if there are no more than that. */
interface Counted extends WaitingCount {
  isAll: boolean;
}

/**
 * Waiting jobs by queue and state: exact up to 100,000 in all. Beyond, each queue's ready jobs
 * (with more than ten queues, fewer of each) and all scheduled and all keyed ones are exact up to
 * 10,000, and what is more is estimated from a sample of the table's pages as they are now: neither
 * needs fresh statistics, and both cost the same at any depth (1,000,000 ready on two cores: 35 ms,
 * against 115 ms for counting them).
 */
export async function countWaiting(tx: Queryable): Promise<{ waiting: WaitingCount[]; isEstimated: boolean }> {
  const ask = async <Row>(text: string, most: number) =>
    (await tx.query({ text: asJsonRows(text), values: [most] })).rows.map((row) => shownRow(row) as Row);
  const counted = await ask<WaitingCount>(byQueueAndState, mostCounted + 1);
  if (counted.reduce((sum, { count }) => sum + count, 0) <= mostCounted)
    return { waiting: counted, isEstimated: false };

  const known = [
    ...(await ask<Counted>(readyByQueue, mostCountedEach)),
    ...(await ask<Counted>(scheduledAndParked, mostCountedEach)),
  ];
  const sampled = await ask<WaitingCount>(sample, sampledPages);
  const estimates = new Map(sampled.map((row) => [keyOf(row), row]));
  for (const row of known) {
    const estimate = estimates.get(keyOf(row))?.count ?? 0;
    estimates.set(keyOf(row), { ...row, count: row.isAll ? row.count : Math.max(row.count, estimate) });
  }
  return {
    waiting: [...estimates.values()].map(({ queue, state, count }) => ({ queue, state, count })),
    isEstimated: true,
  };
}

/** Of the first $1 jobs that come. */
const byQueueAndState = `
  select queue, state, count(*)::integer as count
    from (select queue, state from hark.jobs limit $1) taken group by queue, state`;

const keyOf = ({ queue, state }: WaitingCount) => `${state} ${queue}`;

/** Walks from queue to queue along the ready index, rather than over every entry. */
const readyByQueue = `
  with recursive queues as (
    (select queue from hark.jobs where state = 'ready' order by queue limit 1)
    union all
    select (select queue from hark.jobs where state = 'ready' and jobs.queue > queues.queue order by queue limit 1)
      from queues where queues.queue is not null),
  each as materialized (
    select greatest(${leastCountedEach}, least($1::integer, ${mostCounted} / greatest(1, count(*)))) as most from queues)
  select queue, 'ready' as state, count::integer, count <= most as "isAll"
    from queues, each, lateral (
      select count(*) from (
        select from hark.jobs where state = 'ready' and jobs.queue = queues.queue limit most + 1) taken) counted
   where queue is not null`;

/**
 * Exact where all scheduled ones, or all that have a key, are few; else no more than a lower bound.
 */
const scheduledAndParked = `
  with scheduled as materialized (
    select queue, state from hark.jobs where state = 'scheduled' order by run_at limit $1::integer + 1),
  keyed as materialized (
    select queue, state from hark.jobs where key is not null order by queue, key limit $1::integer + 1)
  select queue, state, count(*)::integer as count, (select count(*) from scheduled) <= $1::integer as "isAll"
    from scheduled group by queue, state
  union all
  select queue, state, count(*)::integer, (select count(*) from keyed) <= $1::integer
    from keyed where state = 'parked' group by queue, state`;

/** Scaled by what share of the table's pages was read. */
const sample = `
  with share as (
    select least(100, 100.0 * $1::integer / greatest(1, pg_relation_size('hark.jobs') / current_setting('block_size')::integer)) as percent)
  select queue, state, round(count(*) * 100 / (select percent from share))::integer as count
    from hark.jobs tablesample system ((select percent from share)) group by queue, state`;
