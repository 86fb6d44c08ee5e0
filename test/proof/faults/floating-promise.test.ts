import { getJob } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJob, insertJobs, untilState } from "../../support/jobs.ts";

const leaseMs = 2_000;

// FM-50: Node ends a process on an unhandled rejection, and Hark does not prevent it, since the
// process may be in any state. It is a crash like any other, and the ledger of its jobs names the
// reason.
test(
  "a promise that a handler did not await and that rejects ends the process, and other workers run its jobs",
  { tags: ["FM-50"] },
  async ({ db, queue, ledger, startProcess }) => {
    const victim = await startProcess({ leaseMs, concurrency: 6, name: "victim" });
    const neighbours = await insertJobs(
      db,
      Array.from({ length: 5 }, () => ({ queue, type: "test.task", payloadJson: '{"ms": 1500}' })),
    );
    await ledger.until("started", 5, 60_000);

    const floating = await insertJob(db, { queue, type: "test.task", payloadJson: '{"does": "float", "ms": 200}' });

    await eventually(() => !victim.isAlive, { withinMs: 30_000, what: "the end of its process" });
    expect(await victim.exited).toBe(1);
    expect(victim.log).toContain("nobody awaits this"); // the log says why the process ended
    await untilState(db, floating, "completed"); // its handler had returned
    await startProcess({ leaseMs, concurrency: 6, name: "heir" });
    await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: 6 });
    expect(await lostOrDoubled(db, [...neighbours, floating])).toEqual([]);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
    for (const id of neighbours) {
      expect((await getJob(db, id))!.attempts.map(({ ending }) => ending)).toEqual(["crashed", "completed"]);
    }
  },
);
