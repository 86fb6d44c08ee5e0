import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { nowMs } from "../clock.ts";
import { openClient } from "../pool.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { starvationOf } from "../starvation.ts";

const processes = 3;
const limitMs = 60_000;
/** A process counts as starved from this time on, in ms: a hand-over may take this long. */
const goalMs = 100;
/**
 * How often the claimed jobs are read, in ms. A job that is claimed and done in between starves no
 * process for long.
 */
const lookMs = 10;

/**
 * Handlers of 1 ms to 1 s, as many of each order of magnitude, in the same order for every adapter.
 */
async function mixed(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 300 : 600;
  await run.loadWorkers(processes);
  await run.startWorkers({ capacity: jobs, isTimed: true });
  const payloads = Array.from({ length: jobs }, (_, n) => ({ n, ms: Math.round(1_000 ** ((n * 0.618_034) % 1)) }));
  const claims = run.adapter.sql?.claimed === undefined ? undefined : await watchClaims(run, run.adapter.sql.claimed);
  await run.producer.enqueueMany(payloads);
  await run.expectHandled(jobs, limitMs);
  const claimedAt = await claims?.end();
  const { reports, startedAt, endedAt } = await run.tally({ jobs });
  const wholeMs = Math.max(...endedAt) - Math.min(...startedAt);
  if (claimedAt === undefined || run.adapter.slots === undefined) return { wholeMs };

  const held = reports.map((report) =>
    payloads
      .filter(({ n }) => report.counts[n])
      .map(({ n }) => ({
        claimedAt: claimedAt.get(n) ?? startedAt[n]!,
        startedAt: startedAt[n]!,
        endedAt: endedAt[n]!,
      })),
  );
  const { longestMs, times, totalMs } = starvationOf(held, { slots: run.adapter.slots, fromMs: goalMs });
  return { longestMs, times, totalMs, wholeMs };
}

/**
 * Records when jobs were claimed, by the database's clock, until end() is called. Returns the
 * moments by job number, in ms of this machine's monotonic clock, like the starts that the worker
 * processes report.
 */
async function watchClaims(run: Run, text: string): Promise<{ end: () => Promise<ReadonlyMap<number, number>> }> {
  const client = await openClient(run.url);
  const epochMs = new Map<number, number>();
  const before = await clockOffsetMs(client);
  const over = new AbortController();
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const { rows } = await client.query<{ n: number; at: number }>({ name: "claimed", text });
      for (const { n, at } of rows) epochMs.set(n, at);
      await sleep(lookMs);
    }
  };
  const looking = look();
  looking.catch(() => {}); // thrown by end()
  return {
    async end() {
      over.abort();
      try {
        await looking;
        const after = await clockOffsetMs(client);
        if (Math.abs(after - before) > 5) throw new Error(`The clocks drifted apart by ${after - before} ms.`);
        return new Map([...epochMs].map(([n, at]) => [n, at - (before + after) / 2]));
      } finally {
        await client.end();
      }
    },
  };
}

/**
 * How far the database's clock is ahead of this machine's monotonic clock, in ms, from the quickest
 * of several queries.
 */
async function clockOffsetMs(client: pg.Client): Promise<number> {
  let [quickestMs, offsetMs] = [Number.POSITIVE_INFINITY, 0];
  for (let n = 0; n < 20; n += 1) {
    const askedAt = nowMs();
    const { rows } = await client.query("select extract(epoch from clock_timestamp())::float8 * 1000 as at");
    const tookMs = nowMs() - askedAt;
    if (tookMs >= quickestMs) continue;
    quickestMs = tookMs;
    offsetMs = (rows[0].at as number) - (askedAt + tookMs / 2);
  }
  return offsetMs;
}

export const mixes: readonly Scenario[] = [
  {
    name: "mixed",
    title: "Handlers of 1 ms to 1 s, three worker processes: one has a free slot while another holds unstarted jobs",
    metrics: [
      { key: "longestMs", label: "longest", unit: "ms", isLessBetter: true },
      { key: "times", label: `longer than ${goalMs} ms`, unit: "times" },
      { key: "totalMs", label: "in all", unit: "ms" },
      { key: "wholeMs", label: "first start to last end", unit: "ms", isLessBetter: true },
    ],
    rounds: 1, // starvation occurs or it does not
    fits: ({ isDefault, isCeiling, isSlow }) => !isDefault && !isCeiling && !isSlow,
    measure: mixed,
  },
];
