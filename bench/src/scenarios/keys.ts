import type { Payload } from "../adapter.ts";
import { graphileWorkerBest, graphileWorkerDirect } from "../adapters/graphile-worker.ts";
import { hark, harkWithoutKeys } from "../adapters/hark.ts";
import { pgBossBest, pgBossGroups, pgBossSingleton } from "../adapters/pg-boss.ts";
import { nowMs } from "../clock.ts";
import { openPool } from "../pool.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { callEach } from "./callers.ts";

/** When a slow adapter is cut, in ms. Its rate is known by then. */
const limitMs = 5_000;

/** How many jobs wait, unless a scenario is deep. */
const usual = 20_000;
const deepJobs = 500_000;
const quickDeepJobs = 100_000;

const metrics = [
  { key: "perSecond", label: "drained", unit: "jobs/s" },
  { key: "workerCpuMicros", label: "CPU of the worker", unit: "us/job" },
];

const without = [
  "bullmq-postgresql and bullmq-redis, because they cannot keep jobs of one key apart (groups belong to BullMQ Pro)",
];

interface Backlog {
  /** How many jobs wait when the worker starts. */
  readonly jobs: number;
  /** How many keys they have, evenly mixed: job n has key n % keys. None if not given. */
  readonly keys?: number;
  /** Inserts each job in a transaction of its own. */
  readonly isOneByOne?: boolean;
}

/**
 * Drains preloaded jobs that do nothing but yield once, by one worker process. Time counts from the
 * moment the worker is ready, or from its first job if that comes earlier.
 */
async function drain(run: Run, { jobs, keys, isOneByOne = false }: Backlog): Promise<Record<string, number>> {
  const extra = extraOf(keys);
  await run.loadWorkers(1);
  if (isOneByOne) await insertOneByOne(run, jobs, extra);
  else await run.load(0, jobs, extra);
  await run.settleServer();
  const { elapsedMs, isComplete } = await drained(run, { jobs, keys });
  const { handled, cpuMicros } = await run.tally({ jobs: isComplete ? jobs : 0 });
  return { perSecond: handled / (elapsedMs / 1_000), workerCpuMicros: cpuMicros / handled };
}

/**
 * The rate of jobs without a key that wait behind jobs of a few hot keys: they need not wait for
 * those.
 */
async function drainBehind(run: Run): Promise<Record<string, number>> {
  const [hot, plain] = run.isQuick ? [20_000, 10_000] : [50_000, 20_000];
  const keys = 10;
  await run.loadWorkers(1);
  await run.load(0, hot, extraOf(keys));
  await run.load(hot, hot + plain, extraOf(undefined));
  await run.settleServer();
  const { fromMs, elapsedMs, isComplete } = await drained(run, { jobs: hot + plain, keys });
  const { startedAt, endedAt } = await run.tally({ jobs: isComplete ? hot + plain : 0 });
  const ends = endedAt.subarray(hot).filter((at) => at > 0);
  const hotRuns = startedAt.subarray(0, hot).filter((at) => at > 0).length;
  // If all were handled, the rate counts until the last of them.
  const plainMs = ends.length === plain ? Math.max(...ends) - fromMs : elapsedMs;
  return { perSecond: ends.length / (plainMs / 1_000), hotPerSecond: hotRuns / (elapsedMs / 1_000) };
}

async function drained(
  run: Run,
  { jobs, keys }: { jobs: number; keys: number | undefined },
): Promise<{ fromMs: number; elapsedMs: number; isComplete: boolean }> {
  const workload = keys === undefined ? {} : { keys };
  let readyAt = Number.POSITIVE_INFINITY;
  const [isComplete] = await Promise.all([
    run.untilHandled(jobs, limitMs),
    run.startWorkers({ capacity: jobs, isTimed: true, workload }).then(() => (readyAt = nowMs())),
  ]);
  const endedMs = nowMs();
  const [report] = await Promise.all(run.workers.map((worker) => worker.report()));
  const firstMs = report!.startedAt.reduce((first, at) => (at > 0 && at < first ? at : first), readyAt);
  return { fromMs: firstMs, elapsedMs: endedMs - firstMs, isComplete };
}

const extraOf =
  (keys: number | undefined) =>
  (n: number): Omit<Payload, "n"> =>
    keys === undefined ? { yields: true } : { key: `key-${n % keys}`, yields: true };

async function insertOneByOne(run: Run, jobs: number, extra: (n: number) => Omit<Payload, "n">): Promise<void> {
  const callers = 16;
  const pool = openPool(run.url, callers);
  try {
    await callEach(callers, { to: jobs }, (n) => {
      const payload: Payload = { n, ...extra(n) };
      const text = run.adapter.sql!.insertKeyed!;
      return pool.query({ name: "insert", text, values: [JSON.stringify(payload), payload.key] });
    });
  } finally {
    await pool.end();
  }
}

interface Comparison extends Pick<Scenario, "adapters">, Partial<Scenario> {
  readonly backlog: (run: Run) => Backlog;
}

const scenario = (name: string, title: string, { backlog, ...more }: Comparison): Scenario => ({
  name,
  title,
  metrics,
  without,
  measure: (run) => drain(run, backlog(run)),
  ...more,
});

/** Peers as they are best for the number of keys. */
const forManyKeys = [hark, harkWithoutKeys, graphileWorkerBest, pgBossSingleton];
const forFewKeys = [hark, harkWithoutKeys, graphileWorkerDirect, pgBossSingleton];

/** Loading takes much longer than the drain. */
const isDeep = { rounds: 1, deadlineMs: 300_000 };
const deep = (run: Run): number => (run.isQuick ? quickDeepJobs : deepJobs);

export const keyed: readonly Scenario[] = [
  scenario("keys:plain", "Drain of 20,000 jobs without a key", {
    adapters: [hark, graphileWorkerBest, pgBossBest],
    without: [],
    backlog: () => ({ jobs: usual }),
  }),
  scenario("keys:distinct", "Drain of 20,000 jobs, each with a key of its own", {
    adapters: forManyKeys,
    backlog: () => ({ jobs: usual, keys: usual }),
  }),
  scenario("keys:1000", "Drain of 20,000 jobs with 1,000 keys", {
    adapters: forManyKeys,
    backlog: () => ({ jobs: usual, keys: 1_000 }),
  }),
  scenario("keys:1000:deep", "Drain of 500,000 jobs with 1,000 keys", {
    ...isDeep,
    adapters: forManyKeys,
    backlog: (run) => ({ jobs: deep(run), keys: 1_000 }),
  }),
  scenario("keys:10", "Drain of 20,000 jobs with 10 hot keys", {
    adapters: forFewKeys,
    backlog: () => ({ jobs: usual, keys: 10 }),
  }),
  scenario("keys:10:deep", "Drain of 500,000 jobs with 10 hot keys", {
    ...isDeep,
    adapters: forFewKeys,
    backlog: (run) => ({ jobs: deep(run), keys: 10 }),
  }),
  scenario("keys:10:single", "Drain of 20,000 jobs with 10 hot keys, each inserted in a transaction of its own", {
    adapters: [hark],
    without: [],
    backlog: () => ({ jobs: usual, keys: 10, isOneByOne: true }),
  }),
  scenario("keys:1", "Drain of 20,000 jobs with one hot key", {
    adapters: forFewKeys,
    backlog: () => ({ jobs: usual, keys: 1 }),
  }),
  {
    name: "keys:behind",
    title: "20,000 jobs without a key behind 50,000 jobs with 10 hot keys",
    metrics: [
      { key: "perSecond", label: "without a key", unit: "jobs/s" },
      { key: "hotPerSecond", label: "with a hot key, meanwhile", unit: "jobs/s" },
    ],
    // A policy of pg-boss holds for its whole queue: jobs without a key would run one by one.
    adapters: [hark, graphileWorkerDirect, pgBossGroups],
    without,
    measure: drainBehind,
  },
];
