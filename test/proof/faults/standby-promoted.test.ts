import { setTimeout as sleep } from "node:timers/promises";
import { migrate, openDatabase } from "@hark/core";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { type Crash, lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJob, insertJobs } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { timeToListen } from "../../support/listening.ts";
import { repeats, tell } from "../../support/long.ts";
import { CampaignServer } from "../campaigns/campaign/server.ts";
import { Proxy } from "../campaigns/network/proxy.ts";

const promotions = repeats({ few: 1, full: 10 });
vi.setConfig({ testTimeout: 240_000 + promotions * 60_000 });

test(
  `workers start the next job within 2 s after a standby was promoted, and finish the jobs they had, ${promotions} times`,
  { tags: ["FM-09"] },
  async ({ queue, ledger, startProcess }) => {
    await using server = await CampaignServer.start();
    await migrate({ connectionString: server.url });
    await using proxy = await Proxy.start(() => server.address); // moves from one server to the other, like a floating address
    const url = proxy.urlOf(server.url);
    const db = openDatabase({ connectionString: url });
    const times: number[] = [];
    try {
      const workers = [];
      for (const name of ["one", "other"]) {
        workers.push(await startProcess({ databaseUrl: url, name, pollMs: 60_000 })); // no poll finds it in time
      }
      const ids: bigint[] = [];
      const crashes: Crash[] = [];
      for (let promotion = 1; promotion <= promotions; promotion += 1) {
        await server.addStandby();
        const before = ledger.of("ended").length;
        const jobs = Array.from({ length: 100 }, (_, place) => ({
          queue,
          type: "test.task",
          payloadJson: `{"ms": ${place}}`,
          maxAttempts: 10,
        }));
        ids.push(...(await insertJobs(db, jobs)));
        await eventually(() => ledger.of("ended").length > before + 10, { withinMs: 60_000, what: "some ends" });

        const from = monotonicUs();
        await server.crash();
        await server.promote(); // returns when the standby accepts writes
        const promotedAt = monotonicUs();
        crashes.push({ from, to: promotedAt });
        // One after the other, so that some come after the workers have looked and found nothing.
        const inserted = new Map<bigint, number>();
        while (monotonicUs() < promotedAt + 3_000_000) {
          const insert = () => insertJob(db, { queue, type: "test.task" }).catch(() => undefined);
          const id = await eventually(insert, { withinMs: 10_000, what: "a job inserted" });
          inserted.set(id, monotonicUs());
          await sleep(50);
        }
        ids.push(...inserted.keys());
        for (const [id, at] of inserted) {
          const [start] = await ledger.until("started", 1, 60_000, id);
          times.push((start!.at - promotedAt) / 1_000 - Math.max(0, (at - promotedAt) / 1_000 - 1_500));
        }
        await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: ids.length });
        for (const worker of workers) {
          await eventually(async () => (await worker.health()).isHealthy, { withinMs: 60_000, what: "good health" });
        }
      }
      expect(workers.map(({ isAlive }) => isAlive)).toEqual([true, true]);
      expect(await lostOrDoubled(db, ids)).toEqual([]);
      expect(await unexplainedStarts(db, ledger, { crashes })).toEqual([]);
      tell(
        `${promotions} promotions of a standby; to the start of the next jobs, but for those inserted 1.5 s later and more`,
        times,
      );
      expect(Math.max(...times)).toBeLessThanOrEqual(2_000 + 2 * (await timeToListen(url)));
    } finally {
      await db.close();
    }
  },
);
