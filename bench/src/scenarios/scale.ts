import { startPgBouncer } from "@hark/test/pgbouncer";
import type { BenchProducer } from "../adapter.ts";
import { nowMs, within } from "../clock.ts";
import { leash } from "../leash.ts";
import { observe } from "../observe.ts";
import type { Run } from "../run.ts";
import type { Metric, Scenario } from "../scenario.ts";
import { percentile } from "../statistics.ts";
import { callFor } from "./callers.ts";
import { flow, flowFigures, warmUp, warmUpRoom } from "./flow.ts";

const producers = 200;
/** Sessions from the pooler to PostgreSQL: the pooler's own default. */
const poolSize = 20;
/** Room in the tally for the jobs of 200 producers. */
const mostSingles = 500_000;
const mostJobs = 1_000_000;
const openMs = 60_000;

const load: readonly Metric[] = [
  { key: "serverCores", label: "server", unit: "cores" },
  { key: "workerCores", label: "workers", unit: "cores" },
  { key: "producerCores", label: "producers", unit: "cores" },
  { key: "machineCpu", label: "machine's CPU", unit: "0 to 1" },
  { key: "walMiBPerSecond", label: "WAL", unit: "MiB/s" },
  { key: "flushesPerSecond", label: "flushes", unit: "/s" },
  { key: "walFlush", label: "WAL flush", unit: "0 to 1" },
  { key: "locks", label: "waiting for locks", unit: "0 to 1" },
  { key: "nodeThread", label: "busiest Node process", unit: "cores" },
];

const throughput: readonly Metric[] = [{ key: "perSecond", label: "jobs", unit: "jobs/s" }, ...load];

const connectionMetrics: readonly Metric[] = [
  { key: "perSecond", label: "jobs", unit: "jobs/s" },
  { key: "p50Ms", label: "answer p50", unit: "ms", isLessBetter: true },
  { key: "p99Ms", label: "answer p99", unit: "ms", isLessBetter: true },
  ...load,
  { key: "poolerCores", label: "pooler", unit: "cores" },
];

async function drain(run: Run, workers: number): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 50_000 : 200_000;
  await run.loadWorkers(workers);
  await run.load(0, jobs);
  await run.settleServer();
  const startedAt = nowMs();
  const { figures } = await observe(run, () =>
    Promise.all([run.expectHandled(jobs, 60_000), run.startWorkers({ capacity: jobs })]),
  );
  const perSecond = jobs / ((nowMs() - startedAt) / 1_000);
  await run.tally({ jobs });
  return { perSecond, ...figures };
}

async function steady(run: Run, workers: number): Promise<Record<string, number>> {
  await run.loadWorkers(workers);
  await run.startWorkers({ capacity: warmUpRoom + mostJobs });
  const from = await warmUp(run);
  await run.settleServer({ isAnalysed: false });
  const forMs = run.isQuick ? 5_000 : 8_000;
  const { answer, figures } = await observe(run, () => flow(run, { from, jobs: mostJobs, forMs }));
  await run.tally({ jobs: answer.isComplete ? from + answer.sent : 0 });
  return { perSecond: flowFigures(answer.samples).perSecond!, ...figures };
}

/**
 * As many producers as connections. Each awaits its enqueue before the next. The one worker
 * connects directly.
 */
async function connections(run: Run, isPooled: boolean): Promise<Record<string, number>> {
  await using stack = new AsyncDisposableStack();
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: warmUpRoom + mostSingles });
  const from = await warmUp(run);
  let { url } = run;
  let poolerPid: number | undefined;
  if (isPooled) {
    // PgBouncer refuses a producer's first connection, which asks for session settings. So for a
    // moment each producer has two.
    const pooler = stack.use(
      await startPgBouncer(run.url, { poolMode: "transaction", poolSize, maxClients: 3 * producers }),
    );
    stack.use(leash(pooler.pid, { words: pooler.folder, folder: pooler.folder }));
    ({ url, pid: poolerPid } = pooler);
  }
  const opened: BenchProducer[] = [];
  stack.defer(async () => {
    const closed = within(openMs, "Closing the producers", Promise.all(opened.map((producer) => producer.close())));
    await closed.catch((error: unknown) => console.error(error)); // dropping the run's database ends their sessions
  });
  for (let n = 0; n < producers; n += 1) opened.push(await run.adapter.openProducer(url));
  // The first call of each producer connects.
  const first = from;
  await within(
    openMs,
    "The producers' first calls",
    Promise.all(opened.map((one, n) => one.enqueue({ n: first + n }))),
  );
  await run.expectHandled(from + producers, openMs);
  await run.settleServer({ isAnalysed: false });

  const free = [...opened];
  const taken: number[] = [];
  const { answer, figures } = await observe(
    run,
    () =>
      callFor(producers, { from: from + producers, forMs: run.isQuick ? 4_000 : 8_000 }, async (n) => {
        const producer = free.pop()!;
        const calledAt = nowMs();
        await producer.enqueue({ n });
        taken.push(nowMs() - calledAt);
        free.push(producer);
      }),
    poolerPid === undefined ? {} : { poolerPid },
  );
  const jobs = from + producers + answer.sent;
  await run.expectHandled(jobs, openMs);
  await run.tally({ jobs });
  return {
    perSecond: answer.perSecond,
    p50Ms: percentile(taken, 0.5),
    p99Ms: percentile(taken, 0.99),
    ...figures,
  };
}

const common = {
  rounds: 1, // a few percent do not change what is full first
  fits: ({ name }) => name === "hark",
} satisfies Partial<Scenario>;

const steps = [1, 2, 4, 8];

export const scales: readonly Scenario[] = [
  ...steps.map((workers): Scenario => ({
    ...common,
    name: `scale:drain:${workers}`,
    title: `Drain, worker processes: ${workers}`,
    metrics: throughput,
    measure: (run) => drain(run, workers),
  })),
  ...steps.map((workers): Scenario => ({
    ...common,
    name: `scale:steady:${workers}`,
    title: `Enqueue and drain, worker processes: ${workers}`,
    metrics: throughput,
    measure: (run) => steady(run, workers),
  })),
  {
    ...common,
    name: "scale:connections:direct",
    title: `${producers} producers, direct`,
    metrics: connectionMetrics,
    measure: (run) => connections(run, false),
  },
  {
    ...common,
    name: "scale:connections:pgbouncer",
    title: `${producers} producers, by PgBouncer`,
    metrics: connectionMetrics,
    measure: (run) => connections(run, true),
  },
];
