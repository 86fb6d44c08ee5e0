import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";

const isLong = Number(process.env["LONG"] ?? 0) > 0;
const leaseMs = 2_000;
/** FM-17 asks for 20. */
const leases = isLong ? 20 : 4;
const jobs = 100;

test(
  `jobs that take ${leases} leases run once, however often other workers look for dead ones`,
  { tags: ["FM-17", "OWNED-4"] },
  async ({ db, queue, ledger, startProcess }) => {
    for (const name of ["one", "other"]) await startProcess({ leaseMs, concurrency: jobs / 2, name });
    const payloadJson = JSON.stringify({ ms: leases * leaseMs });
    const ids = await insertJobs(
      db,
      Array.from({ length: jobs }, () => ({ queue, type: "test.task", payloadJson })),
    );
    await ledger.until("started", jobs, 60_000);

    let looks = 0;
    const areDone = async () => {
      await statements.certifyDeaths(db, {});
      await statements.rescueJobs(db, { limit: 1_000 });
      looks += 1;
      return countJobs(db, queue);
    };
    await expect.poll(areDone, { interval: 100, timeout: leases * leaseMs + 60_000 }).toEqual({ completed: jobs });

    expect(looks).toBeGreaterThan(leases * 5); // otherwise the test shows nothing
    expect(ledger.of("started").map(({ id, attempt }) => [id, attempt])).toHaveLength(jobs);
    expect(new Set(ledger.of("ended").map(({ id }) => id))).toEqual(new Set(ids.map(String)));
    expect(ledger.of("aborted")).toEqual([]);
  },
);
