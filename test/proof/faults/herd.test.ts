import { setTimeout as pause } from "node:timers/promises";
import { type Database, defineJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob, insertJobs, untilState } from "../../support/jobs.ts";

/** A lease of one second is renewed three times a second, so the workers soon know each other. */
const options = { pollInterval: "10m", promoteInterval: "10m", lease: "1s", concurrency: 5 } as const;
const withinMs = 30_000;

/**
 * Counts the claims of a database, including those that find nothing. Each is one statement that
 * inserts into running_jobs.
 */
async function countClaims(db: Database): Promise<() => Promise<number>> {
  await db.pool.query(`
    create sequence claims;
    create function count_claim() returns trigger language plpgsql security definer as $$
      begin perform nextval('public.claims'); return null; end $$;
    create trigger count_claims after insert on hark.running_jobs for each statement execute function count_claim()`);
  let before = 0;
  const all = async () => {
    const { rows } = await db.pool.query("select case when is_called then last_value else 0 end as count from claims");
    return Number(rows[0].count);
  };
  return async () => {
    const since = before;
    before = await all();
    return before - since;
  };
}

/**
 * Waits until every live worker of the queue knows that there are `count`: all leases were renewed
 * after the last worker registered.
 */
async function untilAcquainted(db: Database, queue: string, count: number): Promise<void> {
  const renewed = `select count(*) from hark.workers where queues ? $1 and dead_at is null
    and expires_at > (select max(started_at) + interval '1.1 s' from hark.workers where queues ? $1)`;
  const areAll = async () => Number((await db.pool.query(renewed, [queue])).rows[0].count) === count;
  await eventually(areAll, { withinMs, what: "workers that know each other" });
  await pause(200); // time for the lease threads to tell the workers
}

test(
  "one job wakes few of many sleeping workers, many jobs wake more, and forged notifications cause few claims",
  { tags: ["AWAKE-5", "FM-13", "FM-45"] },
  async ({ db, queue, startWorker }) => {
    const claimsSince = await countClaims(db);
    const job = defineJob("test.plain", { queue });
    const workers = 12;
    const handledBy = new Map<number, number>();
    for (let worker = 0; worker < workers; worker += 1) {
      const handler = async () => {
        handledBy.set(worker, (handledBy.get(worker) ?? 0) + 1);
        await pause(60); // so slow that the worker claims no further job ahead
      };
      await startWorker([implement(job, handler)], options);
    }
    await untilAcquainted(db, queue, workers);
    await claimsSince();

    const jobs = 40;
    for (let n = 0; n < jobs; n += 1) {
      await untilState(db, await insertJob(db, { queue }), "completed");
      await pause(40); // all fall asleep again
    }
    const claims = await claimsSince();
    expect(claims / jobs).toBeLessThanOrEqual(3);
    expect(handledBy.size).toBeGreaterThan(workers / 2); // each time another worker is first

    handledBy.clear();
    const ids = await insertJobs(
      db,
      Array.from({ length: 40 }, () => ({ queue })),
    );
    for (const id of ids) await untilState(db, id, "completed");
    expect(handledBy.size).toBeGreaterThan(1);

    await pause(100);
    await claimsSince();
    const forgedFrom = performance.now();
    for (let n = 0; n < 500; n += 1) {
      await db.pool.query("select pg_notify('job_ready', $1)", [`${queue}${[" 1 17", "", " 9 9 9", " 1 x"][n % 4]}`]);
    }
    const seconds = (performance.now() - forgedFrom) / 1_000;
    expect(await claimsSince()).toBeLessThanOrEqual(workers * (2 + 20 * seconds)); // FM-13
    await untilState(db, await insertJob(db, { queue }), "completed", { withinMs: 2_000 });
  },
);

test("a worker that died, or is busy, delays a job by milliseconds, and only when it is first in line", async ({
  db,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.plain", { queue });
  for (let ghost = 0; ghost < 20; ghost += 1) {
    const identity = { id: crypto.randomUUID(), name: "ghost", hostname: "test", pid: 0, leaseMs: 600_000 };
    await statements.registerWorker(db, { ...identity, queues: JSON.stringify({ [queue]: 1 }) });
  }
  const delays: number[] = [];
  let startedAt = 0;
  await startWorker([implement(job, () => void (startedAt = performance.now()))], options);
  const areKnown = `select count(*) > 20 as are from hark.workers where queues ? $1 and dead_at is null
    and expires_at > started_at + interval '1.5 s'`;
  await eventually(async () => (await db.pool.query(areKnown, [queue])).rows[0].are, { withinMs, what: "a renewal" });
  await pause(200);

  for (let n = 0; n < 30; n += 1) {
    const enqueuedAt = performance.now();
    await untilState(db, await insertJob(db, { queue }), "completed", { withinMs: 5_000 });
    delays.push(startedAt - enqueuedAt);
    await pause(30);
  }

  expect(delays.toSorted((one, other) => one - other)[15]).toBeLessThan(250); // 15 ms of waiting; the rest is for a busy machine
});
