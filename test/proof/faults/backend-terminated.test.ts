import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";

const sessions = `select pid, application_name as name from pg_stat_activity
  where datname = current_database() and application_name in ('hark worker', 'hark listener', 'hark lease') order by pid`;

test(
  "a live worker survives the end of any of its sessions, again and again",
  { tags: ["FM-06", "KEPT-1"] },
  async ({ db, queue, ledger, startProcess }) => {
    const worker = await startProcess({ leaseMs: 4_000, concurrency: 5 });
    const ids: bigint[] = [];
    const terminated: Record<string, number> = {};

    for (let round = 0; round < 40; round += 1) {
      ids.push(
        ...(await insertJobs(db, [
          { queue, type: "test.task", payloadJson: '{"ms": 10}' },
          { queue, type: "test.task", payloadJson: '{"ms": 60}', key: "one" },
          { queue, type: "test.task", payloadJson: '{"does": "fail", "times": 1}', maxAttempts: 10 },
        ])),
      );
      const { rows } = await db.pool.query<{ pid: number; name: string }>(sessions);
      const target = rows[round % Math.max(rows.length, 1)];
      if (!target) continue; // every session has just been ended
      await db.pool.query("select pg_terminate_backend($1)", [target.pid]);
      terminated[target.name] = (terminated[target.name] ?? 0) + 1;
      await new Promise((resolve) => setTimeout(resolve, 25)); // so that some rounds hit a reconnect and some do not
    }

    await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: ids.length });
    expect(worker.isAlive).toBe(true);
    expect(Object.keys(terminated).toSorted()).toEqual(["hark lease", "hark listener", "hark worker"]);
    expect(await lostOrDoubled(db, ids)).toEqual([]);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
    await eventually(async () => (await worker.health()).isHealthy, { withinMs: 60_000, what: "good health" });
    const { rows } = await db.pool.query<{ name: string }>(sessions);
    expect(rows.length).toBeLessThanOrEqual(6); // three in the pool, one each for claims, listener and lease
    expect(
      rows
        .filter(({ name }) => name !== "hark worker")
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["hark lease", "hark listener"]);
  },
);

test(
  "a lease whose session is terminated is renewed on another session",
  { tags: ["FM-06"] },
  async ({ db, queue, startWorker }) => {
    const handler = implement(defineJob("test.plain", { queue }), () => {});
    const worker = await startWorker([handler], { lease: "4s", name: queue });
    let losses = 0;
    worker.events.on("leaseLost", () => (losses += 1));
    const lease = async () => {
      const { rows } = await db.pool.query<{ expiresAt: Date }>(
        `select expires_at as "expiresAt" from hark.workers where name = $1`,
        [queue],
      );
      return rows[0]!.expiresAt.getTime();
    };

    for (let round = 0; round < 3; round += 1) {
      const ended = await eventually(
        async () => {
          const { rowCount } = await db.pool.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name = 'hark lease'`,
          );
          return rowCount === 1;
        },
        { withinMs: 30_000, what: "a session of the lease" },
      );
      expect(ended).toBe(true);
      const before = await lease();
      await eventually(async () => (await lease()) > before, { withinMs: 30_000, what: "a renewal" });
    }
    expect(losses).toBe(0);
  },
);
