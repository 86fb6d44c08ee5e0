import { setTimeout as sleep } from "node:timers/promises";
import { eventually, nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { percentile } from "../statistics.ts";

/** Workers in one process: 50 processes would fill the machine and so distort the figures. */
const workersEach = 5;

async function startIdle(run: Run, workers: number, capacity: number, queues = 1): Promise<void> {
  const each = workers >= 10 ? workersEach : 1;
  await run.loadWorkers(workers / each);
  await run.startWorkers({ capacity, workersEach: each, isTimed: true, workload: { queues } });
  // Waits for the end of the start-up work and for the first renewal of every lease, after which
  // the workers know each other.
  await sleep(run.isQuick ? 5_000 : 10_000);
}

/**
 * What idle workers cost: transactions in their database, which nothing else uses, and CPU of their
 * processes.
 */
async function idle(run: Run, { workers = 1, queues = 1 }): Promise<Record<string, number>> {
  const seconds = run.isQuick ? 6 : 30;
  await startIdle(run, workers, 1, queues);
  await run.closeProducer(); // its own upkeep does not count
  const before = await Promise.all([transactions(run), cpuMicros(run)]);
  await sleep(seconds * 1_000);
  const after = await Promise.all([transactions(run), cpuMicros(run)]);
  const [made, used] = after.map((value, n) => (value - before[n]!) / seconds);
  return { transactionsPerSecond: made!, perWorker: made! / workers, cpuPercent: used! / 1e4 / workers };
}

/**
 * Transactions in the run's database so far, queried from another database. Sessions report theirs
 * once a second.
 */
async function transactions(run: Run): Promise<number> {
  const { rows } = await run.postgres.admin(
    "select xact_commit + xact_rollback as count from pg_stat_database where datname = $1",
    [new URL(run.url).pathname.slice(1)],
  );
  return Number(rows[0]?.count);
}

async function cpuMicros(run: Run): Promise<number> {
  const usage = await Promise.all(run.workers.map((worker) => worker.cpuMicros()));
  return usage.reduce((sum, each) => sum + each, 0);
}

/** Single jobs for 50 idle workers: how many claims each job costs, and how soon it starts. */
async function herd(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 40 : 200;
  const { claims, questions } = run.adapter.sql!;
  await startIdle(run, 50, jobs);
  await run.query("create extension if not exists pg_stat_statements");
  await run.query("select pg_stat_statements_reset()");
  const sentAt: number[] = [];
  for (let n = 0; n < jobs; n += 1) {
    sentAt.push(nowMs());
    await run.producer.enqueue({ n });
    if (!(await eventually(() => run.handled > n, 30_000, 1)))
      throw new Error(`${run.adapter.name}: job ${n} is lost.`);
    await sleep(100);
  }
  const callsOf = async (pattern: string): Promise<number> => {
    const { rows } = await run.query(
      `select coalesce(sum(calls), 0)::float8 as calls from pg_stat_statements
        where dbid = (select oid from pg_database where datname = current_database()) and query ilike $1`,
      [pattern],
    );
    return Number(rows[0].calls);
  };
  const calls = { claims: await callsOf(claims!), questions: questions ? await callsOf(questions) : 0 };
  const { startedAt } = await run.tally({ jobs });
  const latencies = sentAt.map((at, n) => startedAt[n]! - at);
  return {
    claimsPerJob: calls.claims / jobs,
    questionsPerJob: calls.questions / jobs,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

const metrics = [
  { key: "transactionsPerSecond", label: "transactions", unit: "/s" },
  { key: "perWorker", label: "for each worker", unit: "/s" },
  { key: "cpuPercent", label: "CPU for each worker", unit: "% of a core" },
];

export const idles: readonly Scenario[] = [
  ...[1, 10, 50].map((workers): Scenario => ({
    name: `idle:${workers}`,
    title: `Cost of ${workers} idle ${workers === 1 ? "worker" : "workers"}`,
    metrics,
    fits: ({ store }) => store === "postgresql",
    measure: (run) => idle(run, { workers }),
  })),
  ...[1, 100, 1_000].map((queues): Scenario => ({
    name: `idle:queues:${queues}`,
    title: `Cost of an idle worker with ${queues.toLocaleString("en")} ${queues === 1 ? "queue" : "queues"}`,
    metrics: metrics.filter(({ key }) => key !== "perWorker"),
    fits: ({ hasManyQueues = false }) => hasManyQueues,
    measure: (run) => idle(run, { queues }),
  })),
  {
    name: "herd",
    title: "Single jobs for 50 idle workers",
    metrics: [
      { key: "claimsPerJob", label: "claims for each job", unit: "" },
      { key: "questionsPerJob", label: "questions for each job", unit: "" },
      { key: "p50Ms", label: "start p50", unit: "ms" },
      { key: "p99Ms", label: "start p99", unit: "ms" },
    ],
    fits: ({ sql }) => sql?.claims !== undefined,
    measure: herd,
  },
];
