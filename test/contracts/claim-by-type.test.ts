import { randomUUID } from "node:crypto";
import { type Database, openDatabase } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test as base } from "../support/fixtures.ts";
import { countJobs, insertJob, insertJobs, registerWorker } from "../support/jobs.ts";

/** Plans as a worker's own connections do: see plansByIndex. */
const test = base.extend("workerDb", { scope: "file" }, ({ databaseUrl }, { onCleanup }) => {
  const workerDb = openDatabase({ connectionString: databaseUrl, plansByIndex: true, maxConnections: 1 });
  onCleanup(() => workerDb.close());
  return workerDb;
});

const types = ["test.a", "test.b", "test.c"];

/** Ready jobs of a type that no worker here runs, in front of all others. */
async function crowd({ pool }: Database, queue: string, jobs: number): Promise<void> {
  await pool.query(
    `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
     select $1, 'test.unknown', '{}', 1000000, 0, 3, 0, clock_timestamp(), clock_timestamp(), 'ready' from generate_series(1, $2)`,
    [queue, jobs],
  );
}

async function claimByType(
  db: Database | Parameters<typeof statements.claimJobsByType>[0],
  request: { queue: string; worker: string } & Partial<Parameters<typeof statements.claimJobsByType>[1]>,
): Promise<bigint[]> {
  const { jobs } = await statements.claimJobsByType(db, { types, limit: 10, token: randomUUID(), ...request });
  return jobs.map(({ id }) => id);
}

/** What a statement reads: pages, and rows that it steps over or takes. */
async function costOf(db: Database, text: string, parameters: string) {
  const client = await db.pool.connect();
  try {
    await client.query(`begin; prepare asked as ${text}`);
    await client.query(`explain execute asked ${parameters}`); // reads the catalogue
    const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
      `explain (analyze, buffers, format json) execute asked ${parameters}`,
    );
    const { Plan: plan } = rows[0]!["QUERY PLAN"][0];
    return { pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], rows: steppedOver(plan) };
  } finally {
    client.release(true);
  }
}

interface PlanNode {
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
}

const steppedOver = (node: PlanNode): number =>
  (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"] +
  (node.Plans ?? []).reduce((sum, child) => sum + steppedOver(child), 0);

test(
  "what claims by types, probes and looks at the head read does not grow with jobs of other types in front",
  { tags: ["FM-58", "FAST-1"] },
  async ({ db, workerDb, queue }) => {
    await db.pool.query("alter table hark.jobs set (autovacuum_enabled = off); analyze hark.jobs"); // it looks empty
    const worker = await registerWorker(db);
    const request = `'${queue}', 5, '${worker}', '${randomUUID()}', '{${types.join()}}'`;
    const asked: [name: string, text: string, parameters: string][] = [
      ["claim-contended-jobs-by-type", statements.claimContendedJobsByType.text, `(${request}, '{0,0,0}', '{0,0,0}', 1000)`],
      ["claim-plain-jobs-by-type", statements.claimPlainJobsByType.text, `(${request}, '{0,0,0}', '{0,0,0}', 1000)`],
      ["urgency-by-type", statements.urgencyByType.text, `('${queue}', '{${types.join()}}', '{0,0,0}', '{0,0,0}', 1000)`],
      ["survey-head", statements.surveyHead.text, `('${queue}', '{${types.join()}}')`],
      ["probe-jobs", statements.probeJobs.text, `('{${queue}}', '{${types.join()}}', true)`],
      ["unhandled-types", statements.unhandledTypes.text, `('{${queue}}', '{${types.join()}}')`],
    ]; // prettier-ignore
    const costs = async () => {
      const byName = new Map<string, { pages: number; rows: number }>();
      for (const [name, text, parameters] of asked) byName.set(name, await costOf(workerDb, text, parameters));
      return byName;
    };

    await crowd(db, queue, 20_000);
    await insertJobs(db, [{ queue, type: "test.a" }, { queue, type: "test.b" }]); // prettier-ignore
    const before = await costs();
    await crowd(db, queue, 60_000);
    const after = await costs();

    for (const [name, { pages, rows }] of after) {
      expect(rows, name).toBeLessThan(5_000); // nodes that pass on 1,000 rows of the head
      expect(rows, name).toBeLessThanOrEqual(before.get(name)!.rows + 200);
      expect(pages, name).toBeLessThanOrEqual(before.get(name)!.pages + 200);
    }
    // Without it the same numbers would say nothing.
    const byQueue = await costOf(workerDb, statements.claimReadyJobs.text, `(${request}, -1, 0)`);
    expect(byQueue.rows).toBeGreaterThan(80_000);
  },
);

test(
  "a claim by types takes the most urgent jobs of all its types first",
  { tags: ["FM-58", "STRICT-2"] },
  async ({ db, queue }) => {
    const worker = await registerWorker(db);
    const [low, b7, a5, a9, c5, older] = await insertJobs(db, [
      { queue, type: "test.a", priority: 1 },
      { queue, type: "test.b", priority: 7 },
      { queue, type: "test.a", priority: 5 },
      { queue, type: "test.a", priority: 9 },
      { queue, type: "test.c", priority: 5 },
      { queue, type: "test.b", priority: 1 },
      { queue, type: "test.unknown", priority: 100 },
    ]);
    const claims: bigint[][] = [];
    for (let claim: bigint[] = []; (claim = await claimByType(db, { queue, worker })).length > 0;) claims.push(claim);

    // Each claim ends at the second type's best, since what follows may be of either type.
    expect(claims).toEqual([
      [a9, b7],
      [a5, c5],
      [low, older],
    ]);
    expect(await countJobs(db, queue)).toEqual({ ready: 1, running: 6 });
  },
);

test("a claim by types asks below what others hold locked", { tags: ["FM-58"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const [urgent, next, last] = await insertJobs(db, [
    { queue, type: "test.a", priority: 9 },
    { queue, type: "test.b", priority: 5 },
    { queue, type: "test.c", priority: 1 },
  ]);
  const holder = await db.pool.connect();
  try {
    await holder.query("begin; select from hark.jobs where priority >= 5 for update");
    expect(await claimByType(db, { queue, worker })).toEqual([last]);
    expect(await claimByType(db, { queue, worker })).toEqual([]);
    await holder.query("rollback");
  } finally {
    holder.release();
  }
  expect(await claimByType(db, { queue, worker })).toEqual([urgent, next]);
});

test.for([
  ["claim", { mayDefer: false, keyOf: "case when n % 3 = 0 then 'key ' || n % 50 end" }],
  ["claim of plain jobs", { mayDefer: true, keyOf: "null" }],
] as const)(
  "a %s by types neither takes nor locks more than its limit, with any plan and stale statistics",
  { tags: ["FM-26", "FM-58", "STRICT-4"] },
  async ([, { mayDefer, keyOf }], { db, queue }) => {
    const switches = ["material", "nestloop", "hashagg", "sort", "hashjoin", "memoize", "bitmapscan"];
    const worker = await registerWorker(db);
    await db.pool.query("alter table hark.jobs set (autovacuum_enabled = off); analyze hark.jobs");
    await db.pool.query(
      `select hark.enqueue((array['test.a', 'test.b', 'test.unknown'])[1 + n % 3], '{}', queue => $1, key => ${keyOf})
         from generate_series(1, 900) n`,
      [queue],
    );
    const client = await db.pool.connect();
    try {
      for (let combination = 0; combination < 2 ** switches.length; combination += 1) {
        await client.query("begin");
        for (const [place, name] of switches.entries()) {
          await client.query(`set local enable_${name} = ${combination & (2 ** place) ? "on" : "off"}`);
        }
        const claimed = await claimByType(client, { queue, worker, mayDefer, limit: 5 });
        const { rows: counts } = await client.query(
          `select (select count(*)::int from hark.jobs where queue = $1) as waiting,
                  (select count(*)::int from hark.running_jobs where queue = $1) as running`,
          [queue],
        );
        const { rows: free } = await db.pool.query("select from hark.jobs where queue = $1 for update skip locked", [
          queue,
        ]);
        await client.query("rollback");

        expect(claimed.length, `combination ${combination}`).toBeGreaterThan(0);
        expect(claimed.length, `combination ${combination}`).toBeLessThanOrEqual(5);
        const running = claimed.length;
        expect(counts, `combination ${combination}`).toEqual([{ waiting: 900 - running, running }]);
        expect(free.length, `combination ${combination}`).toBeGreaterThanOrEqual(895); // of five the key may be taken
      }
    } finally {
      client.release();
    }
  },
);

test("a claim by types leaves jobs whose key is running, and tells the key", { tags: ["FM-58"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const first = await insertJob(db, { queue, type: "test.a", key: "k" });
  await insertJob(db, { queue, type: "test.a", key: "k" });
  await insertJob(db, { queue, type: "test.b", key: "k" });
  expect(await claimByType(db, { queue, worker, mayDefer: true })).toEqual([first]);

  const { jobs, blockedKeys } = await statements.claimJobsByType(db, { queue, worker, types, limit: 9, token: randomUUID() });
  expect([jobs, blockedKeys]).toEqual([[], ["k"]]);
}); // prettier-ignore

test("a dead worker claims nothing by types, nor does one of other types", { tags: ["FM-58"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  await insertJob(db, { queue, type: "test.a" });
  expect(await claimByType(db, { queue, worker, types: ["test.b"] })).toEqual([]);
  await db.pool.query("update hark.workers set dead_at = clock_timestamp() where id = $1", [worker]);
  expect(await claimByType(db, { queue, worker })).toEqual([]);
  expect(await countJobs(db, queue)).toEqual({ ready: 1 });
}); // prettier-ignore

test("each type starts behind its own position", { tags: ["FM-42", "FM-58"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const [a1, a2, b1] = await insertJobs(db, [
    { queue, type: "test.a" },
    { queue, type: "test.a" },
    { queue, type: "test.b" },
  ]);
  const after = new Map([["test.a", { id: a1!, priority: 0 }]]);
  expect(await claimByType(db, { queue, worker, after })).toEqual([a2, b1]);
});

test("a probe says yes for a job behind any number of others", { tags: ["FM-58"] }, async ({ db, workerDb, queue }) => {
  const queues = [`${queue}.empty`, queue];
  await crowd(db, queue, 1_500);
  expect(await statements.queuesWithReadyJobs(workerDb, { queues, types })).toEqual([]);
  await insertJob(db, { queue: `${queue}.other`, type: "test.c" });
  expect(await statements.queuesWithReadyJobs(workerDb, { queues, types })).toEqual([]);
  await insertJob(db, { queue, type: "test.c" });
  expect(await statements.queuesWithReadyJobs(workerDb, { queues, types })).toEqual([queue]);
});

test(
  "a look at the head counts its most urgent jobs, a thousand at most",
  { tags: ["FM-58"] },
  async ({ db, queue }) => {
    const look = () => statements.surveyHead(db, { queue, types });
    expect(await look()).toEqual([{ isFull: false, foreignShare: 0 }]);
    await insertJobs(db, [{ queue, type: "test.a" }, { queue, type: "test.unknown" }]); // prettier-ignore
    expect(await look()).toEqual([{ isFull: false, foreignShare: 0.5 }]);
    await crowd(db, queue, 999);
    expect(await look()).toEqual([{ isFull: true, foreignShare: 0.999 }]);
  },
);
