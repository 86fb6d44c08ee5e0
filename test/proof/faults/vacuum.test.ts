import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { countJobs } from "../../support/jobs.ts";
import { untilVacuumed } from "../../support/vacuums.ts";

/*
 * Dead rows in the tables that jobs pass through (docs/decisions/0023).
 * test/lifecycle/vacuum.test.ts shows which roles may vacuum them.
 */

test(
  "a busy worker vacuums the tables that its jobs pass through long before autovacuum does",
  { tags: ["FM-42"] },
  async ({ db, queue, startWorker }) => {
    const job = defineJob("test.plain", { queue });
    const jobs = 260_000;
    await db.pool.query(
      "alter table hark.jobs set (autovacuum_enabled = off); alter table hark.running_jobs set (autovacuum_enabled = off)",
    );
    for (let batch = 0; batch < 10; batch += 1) {
      await db.pool.query(
        `select from hark.enqueue_many((select jsonb_agg(jsonb_build_object('type', 'test.plain', 'queue', $1::text))
                                        from generate_series(1, $2::integer)))`,
        [queue, jobs / 10],
      );
    }

    await startWorker([implement(job, () => {})], { queues: { [queue]: 1_000 } });
    await untilVacuumed(db, "jobs");
    await untilVacuumed(db, "running_jobs");
    await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: jobs });
  },
);
