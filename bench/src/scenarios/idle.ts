import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";

/** Workers of one process: 50 processes would fill the machine before they tell anything. */
const workersEach = 5;

async function startIdle(run: Run, workers: number, capacity: number): Promise<void> {
  const each = workers >= 10 ? workersEach : 1;
  await run.loadWorkers(workers / each);
  await run.startWorkers({ capacity, workersEach: each });
  await sleep(3_000); // past the first look of every loop
}

/** What idle workers cost: transactions of their database, which nobody else uses, and CPU of their processes. */
async function idle(run: Run, workers: number): Promise<Record<string, number>> {
  const seconds = run.isQuick ? 6 : 30;
  await startIdle(run, workers, 1);
  await run.closeProducer(); // its own upkeep is not the workers'
  const before = await Promise.all([transactions(run), cpuMicros(run)]);
  await sleep(seconds * 1_000);
  const after = await Promise.all([transactions(run), cpuMicros(run)]);
  const [made, used] = after.map((value, n) => (value - before[n]!) / seconds);
  return { transactionsPerSecond: made!, perWorker: made! / workers, cpuPercent: used! / 1e4 / workers };
}

/** Transactions in the run's database so far, asked from another one. Sessions report theirs once a second. */
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

/** Single jobs for 50 idle workers: how many claims each of them costs. */
async function herd(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 40 : 200;
  await startIdle(run, 50, jobs);
  await run.query("create extension if not exists pg_stat_statements");
  await run.query("select pg_stat_statements_reset()");
  for (let n = 0; n < jobs; n += 1) {
    await run.producer.enqueue({ n });
    if (!(await eventually(() => run.handled > n, 30_000))) throw new Error(`${run.adapter.name}: job ${n} is lost.`);
    await sleep(100);
  }
  await run.tally({ jobs });
  const { rows } = await run.query(
    `select coalesce(sum(calls), 0)::float8 as claims from pg_stat_statements
      where dbid = (select oid from pg_database where datname = current_database()) and query ilike $1`,
    [run.adapter.sql?.claims],
  );
  return { claimsPerJob: Number(rows[0].claims) / jobs };
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
    measure: (run) => idle(run, workers),
  })),
  {
    name: "herd",
    title: "Single jobs for 50 idle workers",
    metrics: [{ key: "claimsPerJob", label: "claims for each job", unit: "" }],
    fits: ({ sql }) => sql?.claims !== undefined,
    measure: herd,
  },
];
