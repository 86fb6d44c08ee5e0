import { setTimeout as sleep } from "node:timers/promises";
import { defineJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import { createWorker, implement, schedule } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import {
  databaseNow,
  firedTicks,
  setNextTick,
  startScheduler,
  ticksOfJobs,
  untilDeclared,
} from "../../support/schedules.ts";

const policies = ["none", "once", "all"] as const;

// FM-34
test(
  "after a database was down for more than five ticks, missed ticks fire as each schedule says, and later ones fire on time",
  { tags: ["FM-34", "TICK-2"] },
  async () => {
    await using server = await startEmbedded();
    await migrate({ connectionString: server.url });
    const db = openDatabase({ connectionString: server.url });
    const job = defineJob("test.outage");
    const worker = createWorker({
      connectionString: server.url,
      logger: silentLogger,
      handlers: [implement(job, () => {})],
      queues: { other: 1 }, // no job runs: a job that the crash interrupts would get another due time
      schedules: policies.map((missed) => schedule(job, { every: "1s" }, { name: missed, queue: missed, missed })),
    });
    const fewestFired = async () =>
      Math.min(...(await Promise.all(policies.map(async (name) => (await firedTicks(db, name)).length))));
    const untilFired = (count: number) =>
      eventually(async () => (await fewestFired()) >= count, { withinMs: 60_000, what: `${count} ticks of each` });
    try {
      await worker.start();
      await untilFired(2);
      const before = await fewestFired();
      await server.stopImmediately();
      await sleep(6_000);
      await server.start();
      await untilFired(before + 5);
      await eventually(() => worker.health().isHealthy, { withinMs: 60_000, what: "good health" });
      await worker.stop();

      for (const missed of policies) {
        const fired = await firedTicks(db, missed);
        const ticks = fired.map(({ tickMs }) => tickMs);
        const gaps = ticks.slice(1).map((tick, place) => (tick - ticks[place]!) / 1_000);
        const together = [...Map.groupBy(fired, ({ firedAtMs }) => firedAtMs).values()].map(({ length }) => length);
        // The newest tick is under a minute old. It fires on time under "none", and stands for all
        // under "once".
        expect(missed === "all" ? Math.max(...together) : Math.max(...gaps)).toBeGreaterThanOrEqual(5);
        expect(new Set(missed === "all" ? gaps : together)).toEqual(new Set([1]));
        expect(await ticksOfJobs(db, missed)).toEqual(ticks);
      }
    } finally {
      await worker.stop("now");
      await db.close();
    }
  },
);

for (const [missed, missedTicks, expected] of [
  ["none", 5, []],
  ["once", 5, [0]],
  ["all", 5, [-4, -3, -2, -1, 0]],
  ["all", 250, Array.from({ length: 100 }, (_, place) => place - 99)],
] as const) {
  test(
    `of ${missedTicks} ticks missed while no worker ran, missed: "${missed}" fires ${expected.length}`,
    { tags: ["FM-34", "TICK-2"] },
    async ({ db, queue }) => {
      // So that the newest tick is half an interval old, about seven minutes.
      const nowMs = await databaseNow(db);
      const everyMs = Math.floor(nowMs / (Math.floor(nowMs / 900_000) + 0.5));
      const newestMs = nowMs - (nowMs % everyMs);
      const rule = schedule(defineJob("test.absent", { queue }), { every: everyMs }, { name: queue, missed });
      await startScheduler(db, [rule]).stop();
      await untilDeclared(db, queue);
      await setNextTick(db, queue, newestMs - (missedTicks - 1) * everyMs);

      const scheduler = startScheduler(db, [rule]);

      const isDone = async () => (await untilDeclared(db, queue)).next_at.getTime() > nowMs;
      await eventually(isDone, { withinMs: 20_000, what: "the next tick ahead" });
      await scheduler.stop();
      expect((await untilDeclared(db, queue)).next_at.getTime()).toBe(newestMs + everyMs);
      expect(await ticksOfJobs(db, queue)).toEqual(expected.map((place) => newestMs + place * everyMs));
    },
  );
}
