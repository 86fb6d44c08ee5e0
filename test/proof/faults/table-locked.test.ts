import { setTimeout as sleep } from "node:timers/promises";
import { defineJob, getJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";

const leaseMs = 3_000;
const tables = ["workers", "running_jobs", "jobs", "stats", "finished_jobs", "schedules", "locks", "unique_keys"];

test.for(tables)(
  "while hark.%s is locked for longer than a lease, a worker has one lease session and few others, and no job has a crash",
  { tags: ["FM-77"] },
  async (table, { db, pool, queue, startWorker }) => {
    const job = defineJob("test.plain", { queue });
    const name = `locked ${table}`;
    for (const place of ["one", "other"])
      await startWorker([implement(job, () => sleep(20))], {
        queues: { [queue]: 5 },
        name: `${name} ${place}`,
        lease: leaseMs,
      });
    const ids = await insertJobs(
      db,
      Array.from({ length: 100 }, () => ({ queue, type: job.type })),
    );
    const before = await sessions();

    const holder = await pool.connect();
    let most = before;
    try {
      await holder.query("begin");
      await holder.query(`lock table hark.${table} in access exclusive mode`);
      for (const endsAt = performance.now() + leaseMs + 2_000; performance.now() < endsAt;) {
        const now = await sessions();
        most = { lease: Math.max(most.lease, now.lease), all: Math.max(most.all, now.all) };
        await sleep(100);
      }
      await holder.query("rollback");
    } finally {
      holder.release();
    }
    // A session that was given up may end a moment after the next began.
    expect(most.lease).toBeLessThanOrEqual(2 * 2);
    expect(most.all).toBeLessThanOrEqual(2 * 10);

    await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: ids.length });
    const after = await Promise.all(ids.map((id) => getJob(db, id)));
    expect(after.filter((each) => each!.crashCount > 0 || each!.attempt > 1)).toEqual([]);

    async function sessions() {
      const { rows } = await pool.query<{ lease: number; all: number }>(
        `select count(*) filter (where application_name = 'hark lease')::int as lease, count(*)::int as "all"
           from pg_stat_activity where datname = current_database() and application_name like 'hark %' and application_name <> 'hark test'`,
      );
      return rows[0]!;
    }
  },
);
