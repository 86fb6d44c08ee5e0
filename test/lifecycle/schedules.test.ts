import { createPayloadCipher, defineJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement, type JobContext, schedule } from "@hark/worker";
import * as v from "valibot";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import {
  databaseNow,
  firedTicks,
  setNextTick,
  startScheduler,
  ticksOfJobs,
  untilDeclared,
} from "../support/schedules.ts";

const yearly = "0 0 1 1 *";

test(
  "each tick of a schedule is one job, with its payload, due at the tick",
  { tags: ["TICK-1"] },
  async ({ db, queue, startWorker }) => {
    const job = defineJob("test.scheduled", {
      queue,
      payload: v.object({ list: v.string(), size: v.optional(v.number(), 10) }),
    });
    const seen: JobContext[] = [];
    const every = schedule(job, { every: "1s" }, { name: queue, payload: { list: "a" }, priority: 3, maxAttempts: 2 });
    await startWorker([implement(job, (context) => void seen.push(context))], { schedules: [every] });

    await eventually(() => seen.length >= 3, { withinMs: 20_000, what: "three runs" });

    expect(seen[0]).toMatchObject({ payload: { list: "a", size: 10 }, priority: 3, maxAttempts: 2, attempt: 1 });
    const ticks = await ticksOfJobs(db, queue);
    expect(ticks.map((tick) => tick % 1_000)).toEqual(ticks.map(() => 0));
    expect(ticks.map((tick) => tick - ticks[0]!)).toEqual(ticks.map((_, place) => place * 1_000));
    expect((await firedTicks(db, queue)).map(({ tickMs }) => tickMs).slice(0, 3)).toEqual(ticks.slice(0, 3));
  },
);

test("a changed declaration takes effect at once, also for a worker with the old one", async ({
  db,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.changed", { queue });
  let runs = 0;
  const handler = implement(job, () => void (runs += 1));
  const old = await startWorker([handler], { schedules: [schedule(job, yearly, { name: queue })] });
  await untilDeclared(db, queue);

  // This worker only declares it: it stops before it fires anything.
  const changed = schedule(job, { every: "1s" }, { name: queue });
  const asked = { schedules: [changed] };
  const other = await startWorker([handler], { ...asked, queues: { [`other-${queue}`]: 1, "*": 1 } });
  await eventually(async () => (await untilDeclared(db, queue)).revision === "2", {
    withinMs: 20_000,
    what: "a revision",
  });
  await other.stop();
  const before = runs;

  await eventually(() => runs >= before + 2, { withinMs: 20_000, what: "two more runs" });
  expect(old.health()).toMatchObject({ isHealthy: true });
});

test("declaring the same schedule again changes neither the revision nor the next tick, even if that is long past", async ({
  db,
  queue,
}) => {
  const job = defineJob("test.same", { queue });
  const same = schedule(job, yearly, { name: queue, tz: "Asia/Tokyo", payload: { b: 1, a: [null] }, missed: "none" });
  await startScheduler(db, [same]).stop();
  await untilDeclared(db, queue);
  await setNextTick(db, queue, Date.UTC(2020, 0, 1));
  const before = await untilDeclared(db, queue);

  const rule = { cron: yearly, zone: "Asia/Tokyo", everyMs: undefined, missed: "none" } as const;
  const declared = { name: queue, ...rule, ...same.job, nextAtMs: Date.now() };
  const declare = (more: object) =>
    statements.declareSchedules(db, { schedules: statements.schedulesJson([{ ...declared, ...more }]) });
  expect(await declare({})).toEqual([]);
  expect(await untilDeclared(db, queue)).toEqual(before);

  expect(await declare({ payloadJson: "{}" })).toEqual([{ name: queue, isWritten: true }]);
  expect(await untilDeclared(db, queue)).toEqual({ ...before, revision: "2" }); // a different job at the same times
});

test(
  "no worker fires a tick before its time by the database's clock, or by an outdated declaration",
  { tags: ["FM-33"] },
  async ({ db, queue }) => {
    const scheduler = startScheduler(db, [schedule(defineJob("test.early"), yearly, { name: queue, queue })]);
    const { next_at: ahead } = await untilDeclared(db, queue);
    await scheduler.stop();
    const fire = (dueAtMs: number, revision: string) =>
      statements.fireSchedule(db, { name: queue, revision, dueAtMs, tickMs: [dueAtMs], nextAtMs: dueAtMs + 60_000 });

    expect(await fire(ahead.getTime(), "1")).toEqual([{ enqueued: undefined }]);
    const dueAtMs = (await databaseNow(db)) - 1;
    await setNextTick(db, queue, dueAtMs);
    expect(await fire(dueAtMs, "2")).toEqual([{ enqueued: undefined }]);
    expect(await ticksOfJobs(db, queue)).toEqual([]);

    expect(await fire(dueAtMs, "1")).toEqual([{ enqueued: 1 }]);
  },
);

test("a schedule that no worker declares any more pauses, and continues when one declares it again", async ({
  db,
  queue,
}) => {
  const job = defineJob("test.resting", { queue });
  const resting = schedule(job, { every: "1s" }, { name: `${queue}-resting` });
  const other = schedule(job, { every: "1s" }, { name: `${queue}-other` });
  const untilFired = (name: string, more: number) =>
    eventually(async () => (await firedTicks(db, name)).length >= more, {
      withinMs: 20_000,
      what: `${more} of ${name}`,
    });
  const both = startScheduler(db, [resting, other]);
  await untilFired(resting.name, 1);
  await both.stop();
  const rested = (await firedTicks(db, resting.name)).length;

  const one = startScheduler(db, [other]);
  await untilFired(other.name, (await firedTicks(db, other.name)).length + 2);
  expect(await firedTicks(db, resting.name)).toHaveLength(rested);
  const again = startScheduler(db, [resting]);
  await untilFired(resting.name, rested + 1);

  await Promise.all([one.stop(), again.stop()]);
});

test("a removed schedule fires no more, and removing it again reports that there is none", async ({
  db,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.removed", { queue });
  let runs = 0;
  await startWorker([implement(job, () => void (runs += 1))], {
    schedules: [schedule(job, { every: "1s" }, { name: queue })],
  });
  await eventually(() => runs >= 1, { withinMs: 20_000, what: "a run" });

  expect(await statements.removeSchedule(db, { name: queue })).toEqual([{ name: queue }]);
  const jobs = (await ticksOfJobs(db, queue)).length;
  expect(await statements.removeSchedule(db, { name: queue })).toEqual([]);

  const [gone] = await statements.fireSchedule(db, {
    name: queue,
    revision: "1",
    dueAtMs: 0,
    tickMs: [0],
    nextAtMs: 1,
  });
  expect(gone).toEqual({ enqueued: undefined });
  expect(await firedTicks(db, queue)).toEqual([]);
  expect(await ticksOfJobs(db, queue)).toHaveLength(jobs);
});

test("a unique key keeps ticks from piling up behind a job that has not started", async ({ db, queue }) => {
  const job = defineJob("test.piling", { queue, uniqueKey: () => "one at a time" });
  const scheduler = startScheduler(db, [schedule(job, { every: "1s" }, { name: queue })]);

  await eventually(async () => (await firedTicks(db, queue)).length >= 3, { withinMs: 20_000, what: "three ticks" });
  await scheduler.stop();

  expect(await ticksOfJobs(db, queue)).toHaveLength(1);
});

test(
  "a tick is not fired again when a racing declaration or a person sets the schedule back",
  { tags: ["FM-33"] },
  async ({ db, queue }) => {
    const job = defineJob("test.back", { queue });
    const scheduler = startScheduler(db, [schedule(job, { every: "1s" }, { name: queue, missed: "all" })]);
    await eventually(async () => (await firedTicks(db, queue)).length >= 2, { withinMs: 20_000, what: "two ticks" });
    const [first] = await firedTicks(db, queue);

    await setNextTick(db, queue, first!.tickMs);

    const now = await databaseNow(db);
    const isPast = async () => (await untilDeclared(db, queue)).next_at.getTime() > now;
    await eventually(isPast, { withinMs: 20_000, what: "catching up" });
    await scheduler.stop();
    const ticks = await ticksOfJobs(db, queue);
    expect(ticks).toEqual([...new Set(ticks)]);
    expect(ticks.length).toBeGreaterThanOrEqual(2);
  },
);

test("ticks are deleted after a day, but not those of a late firing", async ({ db, queue }) => {
  const job = defineJob("test.forgotten", { queue });
  await db.pool.query(
    `insert into hark.schedule_ticks select $1, now() - hours * interval '1 hour', now() - hours * interval '1 hour' from unnest('{23, 25, 90}'::int[]) hours`,
    [queue],
  );
  const nowMs = await databaseNow(db);
  const scheduler = startScheduler(db, [schedule(job, yearly, { name: queue, missed: "all" })]);
  await untilDeclared(db, queue);
  const fire = async (dueAtMs: number, nextAtMs: number) => {
    await setNextTick(db, queue, dueAtMs);
    const [waiting] = await statements.waitingSchedules(db, { names: [queue] });
    return statements.fireSchedule(db, { ...waiting!, dueAtMs, tickMs: [dueAtMs], nextAtMs });
  };
  await scheduler.stop();

  expect(await fire(nowMs - 50 * 3_600_000, nowMs)).toEqual([{ enqueued: 1 }]);
  expect(await fire(nowMs - 1, nowMs + 1_000)).toEqual([{ enqueued: 1 }]);

  const hours = (await firedTicks(db, queue)).map(({ tickMs }) => Math.round((nowMs - tickMs) / 3_600_000));
  expect(hours).toEqual([50, 23, 0]);
});

test("an encrypted payload is encrypted in the schedule and in its jobs, and decrypted for the handler", async ({
  db,
  queue,
  startWorker,
}) => {
  const cipher = createPayloadCipher({ keys: { k: "11".repeat(32) }, current: "k" });
  const job = defineJob("test.sealed", { queue });
  const seen: unknown[] = [];
  const every = schedule(job, { every: "1s" }, { name: queue, payload: { card: "4929" } });
  await startWorker([implement(job, ({ payload }) => void seen.push(payload))], { schedules: [every], cipher });

  await eventually(() => seen.length > 0, { withinMs: 20_000, what: "a run" });

  expect(seen[0]).toEqual({ card: "4929" });
  const { rows } = await db.pool.query<{ text: string }>(
    "select payload::text as text from hark.schedules where name = $1",
    [queue],
  );
  expect(rows[0]!.text).toContain("hark:sealed");
});

test(
  "a schedule that cannot be fired does not block others, and its worker reports how late it is",
  { tags: ["FM-34"] },
  async ({ db, queue, startWorker }) => {
    const job = defineJob("test.late", { queue });
    let runs = 0;
    const stuck = schedule(job, { every: "10m" }, { name: `${queue}-stuck`, missed: "all", queue: `${queue}-stuck` });
    const well = schedule(job, { every: "1s" }, { name: `${queue}-well` });
    await db.pool.query(
      `create or replace function hark.refuse_stuck() returns trigger language plpgsql as
       $$ begin if new.queue like '%-stuck' then raise 'not today'; end if; return new; end $$;
     create trigger refuse_stuck before insert on hark.jobs for each row execute function hark.refuse_stuck()`,
    );
    try {
      const worker = await startWorker([implement(job, () => void (runs += 1))], { schedules: [stuck, well] });
      await untilDeclared(db, stuck.name);
      await setNextTick(db, stuck.name, (await databaseNow(db)) - 1_200_000);

      const isLate = () =>
        worker.health().reasons.some((reason) => /^schedule q-\S+-stuck is 1\d\d\d s late$/.test(reason));
      await eventually(isLate, { withinMs: 90_000, what: "ill health" });
      const before = runs;
      await eventually(() => runs > before, { withinMs: 30_000, what: "a run of the other" });
      await db.pool.query("drop function hark.refuse_stuck cascade");
      await eventually(() => worker.health().isHealthy, { withinMs: 30_000, what: "good health" });
    } finally {
      await db.pool.query("drop function if exists hark.refuse_stuck cascade");
    }
  },
);
