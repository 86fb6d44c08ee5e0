import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Database, defineJob, openDatabase } from "@hark/core";
import { statements } from "@hark/core/internal";
import { schedule } from "@hark/worker";
import { expect, inject, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { repeats, tell } from "../../support/long.ts";
import { pick, randomFrom, seedOfRun } from "../../support/random.ts";
import type { SchedulerProcessOptions } from "../../support/scheduler-main.ts";
import { firedTicks, startScheduler, ticksOfJobs, untilDeclared } from "../../support/schedules.ts";
import { changeFunction, without } from "../../support/seams.ts";

const entry = fileURLToPath(new URL("../../support/scheduler-main.ts", import.meta.url));
const skews = [-300_000, 300_000, 0, -1_500, 120_000];
const ticks = repeats({ few: 300, full: 10_000 });
const schedules = ticks > 1_000 ? 50 : 20;
vi.setConfig({ testTimeout: 180_000 + (ticks / schedules) * 3_000 });

// FM-33
test(
  `50 schedulers with skewed clocks fire each of ${ticks} ticks exactly once while they are killed`,
  { tags: ["FM-33", "TICK-1"] },
  async ({ databaseUrl, db, queue }) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    const names = Array.from({ length: schedules }, (_, place) => `${queue}-${place}`);
    const living: ChildProcess[] = [];
    let kills = 0;
    const start = (skewMs: number) => {
      const options: SchedulerProcessOptions = { databaseUrl, schedulers: 10, schedules: names, skewMs };
      living.push(
        fork(entry, [JSON.stringify(options)], { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] }),
      );
    };
    const kill = async (child: ChildProcess) => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      living.splice(living.indexOf(child), 1);
      await gone;
    };
    const text = "select count(*)::int as count from hark.schedule_ticks where schedule = any ($1)";
    const count = async () => (await db.pool.query<{ count: number }>(text, [names])).rows[0]!.count;
    try {
      for (const skewMs of skews) start(skewMs);
      await eventually(async () => (await count()) > schedules, { withinMs: 60_000, what: "the first ticks" });
      while ((await count()) < ticks) {
        await kill(pick(random, living));
        kills += 1;
        start(pick(random, skews));
        await sleep(random() * 1_500);
      }
    } finally {
      await Promise.all(living.slice().map(kill));
    }

    let counted = 0;
    for (const name of names) {
      const found = await ticksOfJobs(db, name);
      const each = found.map((_, place) => found[0]! + place * 1_000);
      expect(found, `jobs of ${name}, TEST_SEED=${seed}`).toEqual(each); // every second once
      const fired = await firedTicks(db, name);
      expect(fired.map(({ tickMs }) => tickMs)).toEqual(each);
      expect(fired.filter(({ tickMs, firedAtMs }) => firedAtMs < tickMs)).toEqual([]); // by the database's clock
      counted += found.length;
    }
    tell(
      `${counted} ticks of ${schedules} schedules, each fired once by 50 schedulers, ${kills} processes of ten killed`,
    );
    expect(counted).toBeGreaterThanOrEqual(ticks);
    expect(kills).toBeGreaterThan(3);
  },
);

/**
 * Two schedulers read the same tick before either fires it. Returns how many jobs each enqueued.
 */
async function fireTwice(db: Database, name: string): Promise<(number | undefined)[]> {
  const job = defineJob("test.twice");
  const scheduler = startScheduler(db, [schedule(job, "0 0 1 1 *", { name, queue: name })]);
  await untilDeclared(db, name);
  await scheduler.stop();
  await db.pool.query("update hark.schedules set next_at = date_trunc('second', clock_timestamp()) where name = $1", [
    name,
  ]);
  const [read] = await statements.waitingSchedules(db, { names: [name] });
  const firing = { ...read!, dueAtMs: read!.nextAtMs, tickMs: [read!.nextAtMs], nextAtMs: read!.nextAtMs + 60_000 };
  const answers = [await statements.fireSchedule(db, firing), await statements.fireSchedule(db, firing)];
  expect(await ticksOfJobs(db, name)).toHaveLength(answers.reduce((sum, [one]) => sum + (one!.enqueued ?? 0), 0));
  return answers.map(([one]) => one!.enqueued);
}

test(
  "the fence and the unique row each keep a tick from firing twice, and without both it does",
  { tags: ["FM-33", "TICK-1"] },
  async ({ server, db, queue }) => {
    expect(await fireTwice(db, queue)).toEqual([1, undefined]);

    const url = await server.createDatabase(undefined, { template: inject("template") });
    const twin = openDatabase({ connectionString: url });
    try {
      await changeFunction(twin, "hark.fire_schedule", without("AND next_at = due"));
      expect(await fireTwice(twin, `${queue}-a`)).toEqual([1, 0]);
      await twin.pool.query("alter table hark.schedule_ticks drop constraint schedule_ticks_schedule_tick_pk");
      expect(await fireTwice(twin, `${queue}-b`)).toEqual([1, 1]);
    } finally {
      await twin.close();
    }
  },
);
