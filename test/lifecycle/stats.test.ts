import { cancelJob, type Database, defineJob, getStats, openDatabase, requeueDeadJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { countJobs } from "../support/jobs.ts";

test(
  "the stats equal a count over the tables, whatever has happened to the jobs",
  { tags: ["PLAIN-5"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.mixed", { queue, retry: { attempts: 2, backoff: { base: 1 } } });
    const gate = Promise.withResolvers<void>();
    const handler = implement(job, async ({ payload, attempt }) => {
      if (payload === "fail" || (payload === "flaky" && attempt === 1)) throw new Error("as told");
      if (payload === "hold") await gate.promise;
    });
    await startWorker([handler], { queues: { [queue]: 5 } });
    const kinds = ["plain", "plain", "plain", "flaky", "fail", "fail", "hold"];
    const jobs = await producer.enqueueMany(kinds.map((payload) => ({ job, payload })));
    await producer.enqueueMany([
      { job, payload: "hold", options: { key: "k" } },
      { job, payload: "hold", options: { key: "k" } },
      { job, payload: "plain", options: { delay: "1h" } },
      { job, payload: "plain", options: { delay: "1h" } },
    ]);
    const settled = { completed: 4, dead: 2, running: 2, parked: 1, scheduled: 2 };
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual(settled);
    const doomed = await producer.enqueue(job, "plain", { delay: "1h" });
    await cancelJob(db, doomed.id);
    await requeueDeadJob(db, jobs[4]!.id);
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ ...settled, cancelled: 1 });

    await statements.foldStats(db, { limit: 10_000 }); // folding keeps the sums

    const stats = await getStats(db);
    expect(stats.queues[queue]).toEqual({ ...settled, cancelled: 1, ready: 0 });
    expect(stats).toMatchObject({ queued: 3, running: 2, completed: 4, failed: 2 });
    expect((await db.pool.query("select from hark.stats where queue = $1", [queue])).rowCount).toBe(1);
    gate.resolve();
  },
);

test("folding while batches settle loses no count", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.plain", { queue });
  await startWorker([implement(job, () => {})], { queues: { [queue]: 20 } });
  const done = new AbortController();
  const folding = (async () => {
    while (!done.signal.aborted) await statements.foldStats(db, { limit: 10_000 });
  })();

  for (let batch = 0; batch < 10; batch += 1) {
    await producer.enqueueMany(Array.from({ length: 100 }, () => ({ job, payload: {} })));
  }
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 1_000 });
  done.abort();
  await folding;

  expect((await getStats(db)).queues[queue]).toMatchObject({ completed: 1_000, dead: 0, cancelled: 0 });
});

test(
  "the large counts of a deep backlog are estimated, and small queues and states are still exact",
  { tags: ["FM-54"] },
  async ({ db, queue }) => {
    const deep = `${queue}-deep`;
    await db.pool.query(
      `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, key, run_at, created_at, state)
     select case when n <= 150000 then $2 else $1 end, 'test.plain', '{}', 0, 0, 3, 0, case when n > 150010 then 'key ' || n end,
            now(), now(), case when n <= 150007 then 'ready' when n <= 150010 then 'scheduled' else 'parked' end
       from generate_series(1, 150015) n`,
      [queue, deep],
    );

    const { queued, states, queues, isEstimated } = await getStats(db);
    await db.pool.query("delete from hark.jobs where queue = any ($1)", [[queue, deep]]);

    expect(isEstimated).toBe(true);
    expect(queues[queue]).toMatchObject({ ready: 7, scheduled: 3, parked: 5 });
    expect(queues[deep]!.ready).toBeGreaterThan(120_000);
    expect(queues[deep]!.ready).toBeLessThan(180_000);
    expect(queued).toBe(states.ready + states.scheduled + states.parked);

    expect(await getStats(db)).toMatchObject({ isEstimated: false });
  },
);

test(
  "many queues with deep backlogs cost no more to count than a few",
  { tags: ["FM-79"] },
  async ({ databaseUrl, onTestFinished, queue }) => {
    const db = openDatabase({ connectionString: databaseUrl, deadlineMs: 120_000 }); // for a busy machine
    onTestFinished(() => db.close());
    const jobs = 120_000;
    /** Rows that the statements of getStats() read from the table, with so many queues. */
    const readWith = async (queues: number): Promise<number> => {
      await db.pool.query("truncate hark.jobs");
      for (let batch = 0; batch < 5; batch += 1) {
        await db.pool.query(
          `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
           select $1 || n % $2, 'test.plain', '{}', 0, 0, 3, 0, now(), now(), 'ready' from generate_series(1, $3::integer) n`,
          [queue, queues, jobs / 5],
        );
      }
      let read = 0;
      const counting: Database = {
        ...db,
        transaction: (work) =>
          db.transaction(async (client) => {
            const explaining = Object.create(client) as typeof client;
            explaining.query = (async (asked: string | { text: string; values: unknown[] }) => {
              if (typeof asked !== "string" && asked.text.includes("hark.jobs")) {
                const { rows } = await client.query<{ "QUERY PLAN": { Plan: PlanNode }[] }>(
                  `explain (analyze, timing off, format json) ${asked.text}`,
                  asked.values,
                );
                read += rowsRead(rows[0]!["QUERY PLAN"][0]!.Plan);
              }
              return client.query(asked as string);
            }) as typeof client.query;
            return work(explaining);
          }),
      };
      const stats = await getStats(counting);
      expect(stats.isEstimated).toBe(true);
      expect(Object.keys(stats.queues).filter((name) => name.startsWith(queue))).toHaveLength(queues);
      return read;
    };

    const few = await readWith(5);
    const many = await readWith(400);
    await db.pool.query("truncate hark.jobs");
    expect(few).toBeGreaterThan(100_000);
    expect(many).toBeLessThan(1.4 * few);
  },
);

interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  Plans?: PlanNode[];
}

/** Rows of tables that a plan has read, in all its loops. */
const rowsRead = ({ Plans = [], ...node }: PlanNode): number =>
  (node["Relation Name"] === undefined ? 0 : node["Actual Rows"] * node["Actual Loops"]) +
  Plans.reduce((sum, plan) => sum + rowsRead(plan), 0);
