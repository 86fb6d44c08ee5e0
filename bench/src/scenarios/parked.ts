import { randomUUID } from "node:crypto";
import { getStats, openDatabase } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { Payload } from "../adapter.ts";
import { type Cost, openMeter } from "../buffers.ts";
import { eventually } from "../clock.ts";
import { figure, markdownTable } from "../results.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";
import { WorkerProcess } from "../worker-process.ts";

const keys = 10;
/** How many jobs of these keys wait: all but one of each key are parked. */
const shallow = 10_000;
/** getStats() counts the first 100,000 jobs one by one, so it costs the same only beyond them. */
const beyondCounting = 200_000;
const deep = 1_000_000;
/** How often each call is measured. */
const calls = 30;
/** Jobs in one call of a bulk enqueue. */
const bulk = 1_000;
/** The worker has run so many jobs, or for so long, when its heap is measured. */
const warmJobs = 2_000;
const warmMs = 5_000;
const mebibyte = 1_048_576;

const queue = "default";
const types = ["bench"];

/** The calls that are measured, in words. */
const measured = {
  claim: "claim of 10 keys",
  vain: "claim while all keys run",
  settle: "settle of 10 jobs, with the hand-off of their keys",
  both: "settle and claim in one",
  cancel: "cancel of a key's head",
  enqueue: "insert of 10 jobs of these keys",
  probe: "question whether any job is ready",
  unpark: "upkeep's search for parked jobs without a holder",
  stats: "getStats()",
} as const;
type Call = keyof typeof measured;
const names = Object.keys(measured) as Call[];

type Costs = Record<Call, Cost[]>;

/**
 * What Hark's statements cost with few and with very many parked jobs, in pages, and the heap of a
 * worker that runs jobs of these keys.
 */
async function parked(run: Run): Promise<Record<string, number>> {
  const depths = run.isQuick ? [shallow, beyondCounting] : [shallow, beyondCounting, deep];
  const costs: Costs[] = [];
  const heaps: number[] = [];
  const sent = { jobs: 0 };
  for (const depth of depths) {
    await fill(run, sent, depth);
    costs.push(await costsOf(run, sent));
    heaps.push(await heapBytes(run, sent.jobs));
  }
  const figures: Record<string, number> = {};
  const rows: string[][] = [];
  const [few, some, many] = [costs[0]!, costs[1]!, costs.at(-1)!];
  for (const call of names) {
    const before = middle((call === "stats" ? some : few)[call], "buffers");
    const after = middle(many[call], "buffers");
    figures[call] = after / before;
    figures[`${call}Pages`] = after;
    figures[`${call}Ms`] = middle(many[call], "ms");
    rows.push([
      measured[call],
      figure(before),
      figure(after),
      figure(after / before),
      figure(middle(many[call], "ms")),
    ]);
  }
  console.log(
    markdownTable(["call", "pages, shallow", "pages, deep", "deep : shallow", "time of the server, deep, ms"], rows),
  );
  figures.worst = Math.max(...names.map((call) => figures[call]!));
  figures.heapMiB = heaps.at(-1)! / mebibyte;
  figures.heapGrownMiB = (heaps.at(-1)! - heaps[0]!) / mebibyte;
  return figures;
}

const middle = (costs: readonly Cost[], what: keyof Cost) => median(costs.map((cost) => cost[what]));

/** The payloads of jobs that come after those already sent, with the keys in turn. */
const payloads = (sent: { jobs: number }, count: number): Payload[] =>
  Array.from({ length: count }, () => {
    const n = sent.jobs++;
    return { n, key: `key-${n % keys}`, yields: true };
  });

/**
 * Enqueues until `depth` jobs wait, and parks all but the first of each key, as claims would do.
 */
async function fill(run: Run, sent: { jobs: number }, depth: number): Promise<void> {
  await run.query("delete from hark.running_jobs"); // those of a worker that was killed
  const { rows } = await run.query("select count(*)::int as waiting from hark.jobs");
  for (let left = depth - (rows[0].waiting as number); left > 0; left -= bulk)
    await run.producer.enqueueMany(payloads(sent, Math.min(left, bulk)));
  await run.query(
    `update hark.jobs set state = 'parked' where state = 'ready' and key is not null and id <> all (array(
       select distinct on (queue, key) id from hark.jobs where key is not null order by queue, key, priority desc, id))`,
  );
  await run.query("vacuum analyze hark.jobs"); // as autovacuum will
  await run.settleServer();
}

async function costsOf(run: Run, sent: { jobs: number }): Promise<Costs> {
  const costs = Object.fromEntries(names.map((call) => [call, []])) as unknown as Costs;
  // Set like a worker's own connection.
  const db = openDatabase({ connectionString: run.url, maxConnections: 1, plansByIndex: true });
  await using meter = await openMeter(run);
  try {
    const worker = randomUUID();
    const lease = { name: "bench", hostname: "bench", pid: process.pid, queues: "{}", leaseMs: 600_000 };
    await statements.registerWorker(db, { id: worker, ...lease });
    const claim = (completions?: statements.Completions) =>
      statements.claimJobs(db, { queue, limit: keys, worker, token: randomUUID(), types }, completions);
    const claimed = async () => expectAll((await claim()).jobs);
    const done = (jobs: readonly statements.ClaimedJob[]) =>
      statements.completionsOf(jobs.map((job) => ({ ...job, resultJson: null })));
    const cost = async (call: Call, work: () => Promise<unknown>) => costs[call].push(await meter.of(work));

    for (let n = 0; n < calls; n += 1) {
      let jobs: readonly statements.ClaimedJob[] = [];
      await cost("claim", async () => (jobs = await claimed()));
      await cost("vain", () => claim());
      await cost("settle", () => statements.completeJobs(db, done(jobs)));
      jobs = await claimed();
      await cost("both", () => claim(done(jobs)));
      const { rows } = await run.query("select id from hark.jobs where state = 'ready' order by id limit 1");
      await cost("cancel", () => statements.cancelJob(db, { id: rows[0].id as bigint }));
      await cost("enqueue", () => run.producer.enqueueMany(payloads(sent, keys)));
      await cost("probe", () => statements.queuesWithReadyJobs(db, { queues: [queue], types }));
      await cost("unpark", () => statements.unparkJobs(db, { queue: "", key: "", limit: 100 }));
      await cost("stats", () => getStats(db));
    }
  } finally {
    await db.close();
  }
  return costs;
}

/** @throws Error if a claim did not get the first job of each key */
function expectAll(jobs: readonly statements.ClaimedJob[]): readonly statements.ClaimedJob[] {
  if (new Set(jobs.map(({ key }) => key)).size === keys) return jobs;
  throw new Error(`A claim got ${jobs.length} jobs, not the first of each of ${keys} keys.`);
}

/** The heap of a worker after a garbage collection, once it has run jobs of these keys. */
async function heapBytes(run: Run, jobs: number): Promise<number> {
  await using worker = await WorkerProcess.load();
  await worker.start(run.adapter, run.url, { capacity: jobs, workload: { keys } });
  await eventually(() => worker.failure !== undefined || worker.handled >= warmJobs, warmMs);
  const { heapBytes: heap } = await worker.report();
  return heap;
}

export const parkedBacklogs: readonly Scenario[] = [
  {
    name: "keys:parked",
    title: "Pages that a call reads with 1 million parked jobs of 10 keys (--quick: 200,000), over those with 10,000",
    metrics: [
      { key: "worst", label: "the worst of them", unit: "", isLessBetter: true },
      ...names.map((call) => ({ key: call, label: measured[call], unit: "" })),
      { key: "heapMiB", label: "heap of a worker", unit: "MiB" },
      { key: "heapGrownMiB", label: "more than with 10,000", unit: "MiB" },
    ],
    rounds: 1, // an amount, not a time
    deadlineMs: 600_000,
    isLong: true,
    fits: ({ name }) => name === "hark",
    measure: parked,
  },
];
