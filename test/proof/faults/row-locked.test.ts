import { setTimeout as sleep } from "node:timers/promises";
import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs, untilState } from "../../support/jobs.ts";

const others = 300;

test.for([
  { row: "the running job", named: "hark.running_jobs where id = $1" },
  { row: "its worker", named: "hark.workers where id = (select worker from hark.running_jobs where id = $1)" },
])(
  "while another transaction holds the row of $row locked, other jobs are claimed and settled, and the job completes afterwards",
  { tags: ["FM-77"] },
  async ({ named }, { db, pool, queue, startWorker }) => {
    const release = Promise.withResolvers<void>();
    const held = implement(defineJob("test.held", { queue }), () => release.promise);
    await startWorker([held, implement(defineJob("test.plain", { queue }), () => sleep(1))], {
      queues: { [queue]: 10 },
    });
    const [id] = await insertJobs(db, [{ queue, type: "test.held" }]);
    await untilState(db, id!, "running");
    const holder = await pool.connect();
    try {
      await holder.query("begin");
      await holder.query(`select from ${named.replace("$1", String(id))} for no key update`);
      release.resolve(); // its outcome waits for the row, beside those of the others
      await insertJobs(
        db,
        Array.from({ length: others }, () => ({ queue, type: "test.plain" })),
      );
      await expect
        .poll(async () => (await countJobs(db, queue))["completed"] ?? 0, { timeout: 30_000 })
        .toBeGreaterThanOrEqual(others);
      await holder.query("rollback");
    } finally {
      holder.release();
    }
    expect(await untilState(db, id!, "completed")).toMatchObject({ attempt: 1, crashCount: 0 });
  },
);

test(
  "while another transaction holds half of the ready jobs and all counts locked, the other half is claimed and settled",
  { tags: ["FM-77"] },
  async ({ db, pool, queue, startWorker }) => {
    const ids = await insertJobs(
      db,
      Array.from({ length: others }, () => ({ queue, type: "test.plain" })),
    );
    const holder = await pool.connect();
    try {
      await holder.query("begin");
      await holder.query("select from hark.jobs where queue = $1 and id % 2 = 0 for update", [queue]);
      await holder.query("select from hark.stats for update");
      await startWorker([implement(defineJob("test.plain", { queue }), () => {})], { queues: { [queue]: 10 } });
      const free = ids.filter((id) => id % 2n === 1n).length;
      await expect.poll(async () => (await countJobs(db, queue))["completed"], { timeout: 30_000 }).toBe(free);
      await holder.query("rollback");
    } finally {
      holder.release();
    }
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: ids.length });
  },
);
