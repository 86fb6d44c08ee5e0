import { getJob } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../support/explain.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, insertJobs } from "../support/jobs.ts";

test("rolling restarts under load burn no attempt and lose no job", async ({ db, queue, ledger, startProcess }) => {
  const options = { concurrency: 6, drainMs: 150, abortMs: 300 } as const;
  const ids: bigint[] = [];
  let serving = await startProcess(options);

  for (let restarts = 0; restarts < 6; restarts += 1) {
    const jobs = Array.from({ length: 40 }, (_, place) => ({
      queue,
      type: "test.task",
      // Most end within the drain, some must be aborted, and a few do not listen.
      payloadJson: ['{"ms": 10}', '{"ms": 60}', '{"ms": 700}', '{"ms": 20}', '{"does": "ignore", "ms": 700}'][
        place % 5
      ]!,
      maxAttempts: 1, // one burnt attempt would be the end of it
      ...(place % 6 === 0 && { key: "one at a time" }),
    }));
    const next = await startProcess(options);
    ids.push(...(await insertJobs(db, jobs)));
    const { pid } = serving;
    const before = ledger.of("started").filter((entry) => entry.pid === pid).length;
    await eventually(() => ledger.of("started").filter((entry) => entry.pid === pid).length > before + 5, {
      withinMs: 60_000,
      what: "jobs that run",
      everyMs: 10,
    });
    serving.kill("SIGTERM");
    expect(await serving.exited).toBe(0);
    serving = next;
  }

  await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: ids.length });
  expect(await lostOrDoubled(db, ids)).toEqual([]);
  expect(await unexplainedStarts(db, ledger)).toEqual([]);

  // Attempts equal handler starts, less those that were handed back.
  let handedBack = 0;
  for (const id of ids) {
    const { attempt, attempts } = (await getJob(db, id))!;
    expect(attempts.filter(({ ending }) => ending !== "interrupted")).toEqual([]);
    const tokens = new Set(attempts.map(({ token }) => token));
    const starts = ledger.of("started", id);
    expect(starts.filter(({ token }) => !tokens.has(token))).toHaveLength(1);
    expect(attempt).toBe(1);
    handedBack += attempts.length;
  }
  expect(handedBack).toBeGreaterThan(0); // or nothing was shown
});
