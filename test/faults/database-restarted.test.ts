import { migrate, openDatabase } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../support/explain.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, insertJobs } from "../support/jobs.ts";

test("a database that crashes and comes back under load loses no job, and the workers live through it", async ({
  queue,
  ledger,
  startProcess,
}) => {
  await using server = await startEmbedded();
  await migrate({ connectionString: server.url });
  const db = openDatabase({ connectionString: server.url });
  try {
    const workers = [];
    for (const name of ["one", "other"]) {
      workers.push(
        await startProcess({ databaseUrl: server.url, name, leaseMs: 3_000, concurrency: 5, pollMs: 1_000 }),
      );
    }
    const ids: bigint[] = [];

    for (let crashes = 1; crashes <= 2; crashes += 1) {
      const before = ledger.of("ended").length;
      const jobs = Array.from({ length: 150 }, (_, place) => ({
        queue,
        type: "test.task",
        payloadJson: `{"ms": ${place % 90}}`,
        maxAttempts: 10,
        ...(place % 4 === 0 && { key: "one at a time" }),
      }));
      ids.push(...(await insertJobs(db, jobs)));
      await eventually(() => ledger.of("ended").length > before + 10, { withinMs: 60_000, what: "some ends" });
      await server.stopImmediately();
      await server.start();
    }

    await expect.poll(() => countJobs(db, queue).catch(() => {}), { timeout: 120_000 }).toEqual({ completed: 300 });
    expect(workers.map(({ isAlive }) => isAlive)).toEqual([true, true]);
    expect(await lostOrDoubled(db, ids)).toEqual([]);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
    for (const worker of workers) {
      await eventually(async () => (await worker.health()).isHealthy, { withinMs: 60_000, what: "good health" });
    }
  } finally {
    await db.close();
  }
});
