import { setTimeout as sleep } from "node:timers/promises";
import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import { isLong, repeats, tell } from "../../support/long.ts";

/**
 * At least 1,000: a tenth of fewer would be within the twenty a second that each process may retry
 * anyway.
 */
const jobs = Math.max(1_000, repeats({ few: 1_000, full: 5_000 }));
/** How long the service that the jobs call is out, in ms. */
const outageMs = isLong ? 30_000 : 5_000;

/** The most moments within any one second. Expects them in ascending order. */
function mostInASecond(moments: readonly number[]): number {
  let [most, first] = [0, 0];
  for (const [place, at] of moments.entries()) {
    while (moments[first]! <= at - 1_000) first += 1;
    most = Math.max(most, place - first + 1);
  }
  return most;
}

test(
  `of ${jobs} jobs that failed in an outage of a service, at most a tenth is retried in any second after it, and all complete`,
  { tags: ["FM-29"] },
  async ({ db, queue, startWorker }) => {
    const job = defineJob("test.caller", { queue }); // with the default backoff
    const failed = new Set<bigint>();
    const retriedAt: number[] = [];
    let isOut = true;
    const call = implement(job, ({ id }) => {
      if (isOut) {
        failed.add(id);
        throw new Error("503: out of service");
      }
      retriedAt.push(performance.now());
    });
    for (const name of ["one", "other"]) await startWorker([call], { name, queues: { [queue]: 50 } });

    const ids = await insertJobs(
      db,
      Array.from({ length: jobs }, () => ({ queue, type: job.type, maxAttempts: 20 })),
    );
    const outage = sleep(outageMs);
    await eventually(() => failed.size === jobs, { withinMs: 60_000, what: "the failure of every job" });
    await outage;
    isOut = false;

    await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: jobs });
    const most = mostInASecond(retriedAt);
    const tookMs = retriedAt.at(-1)! - retriedAt[0]!;
    tell(
      `${jobs} jobs after an outage of ${outageMs} ms: ${most} of them retried in one second, all within ${Math.round(tookMs)} ms`,
    );
    expect(retriedAt).toHaveLength(jobs);
    expect(most).toBeLessThanOrEqual(jobs / 10);
    expect(await lostOrDoubled(db, ids)).toEqual([]);
  },
);
