import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";

/**
 * A promoter locks a row before it sees that there is nothing to promote. So a job that another
 * promoter has just made ready stays locked until this promoter's statement ends. A claim in
 * between skips the job, and the end of the lock sends no notification. The fault campaign found
 * this (seed 13): docs/proof/campaigns.md.
 */
test(
  "a job that is locked for a moment while it is announced starts when the lock is released, not at the next poll",
  { tags: ["FM-40"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.locked", { queue });
    const started: bigint[] = [];
    await startWorker([implement(job, ({ id }) => void started.push(id))], {
      pollInterval: "10m",
      promoteInterval: "10m",
    });
    const first = await producer.enqueue(job, {});
    await eventually(() => started.includes(first.id), { withinMs: 30_000, what: "a job before" });

    const { id } = await producer.enqueue(job, {}, { delay: "10m" });
    const looker = await db.pool.connect();
    await looker.query("begin");
    await looker.query("select from hark.jobs where id = $1 for key share", [id]); // the weakest lock that a claim skips
    await db.pool.query("update hark.jobs set state = 'ready', run_at = clock_timestamp() where id = $1", [id]);
    await looker.query("select pg_sleep(0.3)");
    expect(started).not.toContain(id);
    await looker.query("commit");
    looker.release();

    await eventually(() => started.includes(id), { withinMs: 3_000, what: "its start" });
  },
);
