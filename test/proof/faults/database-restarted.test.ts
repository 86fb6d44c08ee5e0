import { setTimeout as sleep } from "node:timers/promises";
import { migrate, openDatabase } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { type Crash, lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJob, insertJobs } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { timeToListen } from "../../support/listening.ts";
import { percentile, repeats, tell } from "../../support/long.ts";

/**
 * How long the database stays down, in ms: not at all, until loops have failed a few times, and
 * until leases have run out.
 */
const outages = [5_000, 0, 15_000, 0, 2_000];
const restarts = repeats({ few: 2, full: 50 });
vi.setConfig({ testTimeout: 240_000 + restarts * 30_000 });

test(
  "a database that crashes and comes back under load loses no job, and the workers survive",
  { tags: ["FM-47", "KEPT-1"] },
  async ({ queue, ledger, startProcess }) => {
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
      const crashes: Crash[] = [];

      while (crashes.length < 2) {
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
        const from = monotonicUs();
        await server.stopImmediately();
        crashes.push({ from, to: monotonicUs() });
        await server.start();
      }

      await expect.poll(() => countJobs(db, queue).catch(() => {}), { timeout: 120_000 }).toEqual({ completed: 300 });
      expect(workers.map(({ isAlive }) => isAlive)).toEqual([true, true]);
      expect(await lostOrDoubled(db, ids)).toEqual([]);
      expect(await unexplainedStarts(db, ledger, { crashes })).toEqual([]);
      for (const worker of workers) {
        await eventually(async () => (await worker.health()).isHealthy, { withinMs: 60_000, what: "good health" });
      }
    } finally {
      await db.close();
    }
  },
);

test(
  `idle workers start the next job, and jobs that fell due meanwhile, within half a second after the database is back, ${restarts} times`,
  { tags: ["FM-47"] },
  async ({ queue, ledger, startProcess }) => {
    await using server = await startEmbedded();
    await migrate({ connectionString: server.url });
    const db = openDatabase({ connectionString: server.url });
    try {
      const workers = [];
      for (const name of ["one", "other"]) {
        workers.push(await startProcess({ databaseUrl: server.url, name, pollMs: 60_000 })); // no poll finds it in time
      }
      const times: number[] = [];
      for (let restart = 0; restart < restarts; restart += 1) {
        const outageMs = outages[restart % outages.length]!;
        const overdue = outageMs > 0 && (await insertJob(db, { queue, type: "test.task", delayMs: outageMs / 2 }));
        await server.stopImmediately();
        await sleep(outageMs);
        await server.start();
        const backAt = monotonicUs();
        const insert = () => insertJob(db, { queue, type: "test.task" }).catch(() => undefined);
        const id = await eventually(insert, { withinMs: 10_000, what: "a job inserted" });

        for (const waiting of overdue ? [overdue, id] : [id]) {
          const [start] = await ledger.until("started", 1, 60_000, waiting);
          times.push((start!.at - backAt) / 1_000);
        }
        for (const worker of workers) {
          await eventually(async () => (await worker.health()).isHealthy, { withinMs: 60_000, what: "good health" });
        }
        await sleep(Math.random() * 1_000);
      }
      expect(workers.map(({ isAlive }) => isAlive)).toEqual([true, true]);
      tell(`${restarts} restarts of the database after a crash; to the start of the next and of an overdue job`, times);
      expect(percentile(times, 0.99)).toBeLessThanOrEqual(500 + 2 * (await timeToListen(server.url)));
    } finally {
      await db.close();
    }
  },
);
