import { getJob } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import { tell } from "../../support/long.ts";

const jobs = 3_000;
const concurrency = 100;

test.for([
  { named: "one attempt", maxAttempts: 1 },
  { named: "three attempts", maxAttempts: 3 },
])(
  "of jobs with $named that a worker held when it was killed, those that had not started lose no attempt",
  { tags: ["FM-75"] },
  async ({ maxAttempts }, { db, queue, ledger, startProcess }) => {
    const payloadJson = '{"ms": 20}';
    const ids = await insertJobs(
      db,
      Array.from({ length: jobs }, () => ({ queue, type: "test.task", payloadJson, maxAttempts })),
    );
    const victim = await startProcess({ leaseMs: 2_000, concurrency, name: "victim", awaitReady: false });
    await eventually(() => ledger.of("started").length > jobs / 4, { withinMs: 60_000, what: "starts", everyMs: 1 });
    victim.kill("SIGKILL");
    await victim.exited;
    const { rows } = await db.pool.query<{ id: string }>("select id from hark.running_jobs where queue = $1", [queue]);
    const started = new Set(ledger.of("started").map(({ id }) => id));
    const neverStarted = rows.map(({ id }) => BigInt(id)).filter((id) => !started.has(String(id)));

    await startProcess({ leaseMs: 2_000, concurrency, name: "heir" });
    await expect
      .poll(async () => Object.keys(await countJobs(db, queue)).toSorted(), { timeout: 60_000 })
      .toSatisfy((states: string[]) => states.every((state) => state === "completed" || state === "dead"));

    const { dead = 0 } = await countJobs(db, queue);
    const after = await Promise.all(neverStarted.map(async (id) => (await getJob(db, id))!));
    const tried = after.filter(({ attempts }) => attempts.some(({ ending }) => ending === "crashed"));
    tell(
      `killed with ${rows.length} claimed jobs, ${neverStarted.length} of them not started: ` +
        `${tried.length} of these count as tried, ${dead} dead letters`,
    );
    expect(neverStarted.length).toBeGreaterThan(concurrency / 4); // else the test shows nothing
    // A slot may have been between two jobs: one had ended, and the next was marked, or first in
    // line.
    expect(tried.length).toBeLessThan(neverStarted.length / 2);
    for (const job of after.filter((each) => !tried.includes(each)))
      expect(job).toMatchObject({ state: "completed", attempt: 1 });
    const starts = ledger.of("started").map(({ id }) => id);
    if (maxAttempts > 1) expect(dead).toBe(0);
    else expect(starts).toHaveLength(new Set(starts).size);
    expect(await lostOrDoubled(db, ids)).toEqual([]);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
  },
);
