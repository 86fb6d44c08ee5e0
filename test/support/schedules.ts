import type { Database, Queryable, Notifications } from "@hark/core";
import { silentLogger } from "@hark/core";
import type { Schedule } from "@hark/worker";
import { Scheduler } from "@hark/worker/internal";
import { eventually } from "./eventually.ts";

/** Delivers no notifications: a scheduler in a test finds everything when its time has come. */
export const noNotifications: Notifications = { on: () => () => {} };

/** Starts a scheduler without a worker. */
export function startScheduler(
  db: Queryable,
  schedules: readonly Schedule[],
  notifications = noNotifications,
): Scheduler {
  const scheduler = new Scheduler({ db, notifications, schedules, logger: silentLogger });
  scheduler.start();
  return scheduler;
}

/** The fired ticks of a schedule, in epoch ms, with when they were fired. */
export async function firedTicks({ pool }: Database, name: string): Promise<{ tickMs: number; firedAtMs: number }[]> {
  const { rows } = await pool.query<{ tickMs: number; firedAtMs: number }>(
    `select (extract(epoch from tick) * 1000)::float8 as "tickMs", (extract(epoch from fired_at) * 1000)::float8 as "firedAtMs"
       from hark.schedule_ticks where schedule = $1 order by tick`,
    [name],
  );
  return rows;
}

/**
 * The ticks that a queue's jobs were enqueued for, in epoch ms. run_at is the tick, unless a job
 * was retried.
 */
export async function ticksOfJobs({ pool }: Database, queue: string): Promise<number[]> {
  const { rows } = await pool.query<{ ms: number }>(
    `select (extract(epoch from run_at) * 1000)::float8 as ms from (
       select run_at from hark.jobs where queue = $1
       union all select run_at from hark.running_jobs where queue = $1
       union all select run_at from hark.finished_jobs where queue = $1) jobs order by 1`,
    [queue],
  );
  return rows.map(({ ms }) => ms);
}

/** Waits until a schedule is declared. Returns its row. */
export async function untilDeclared({ pool }: Database, name: string): Promise<{ revision: string; next_at: Date }> {
  const text = "select revision::text, next_at from hark.schedules where name = $1";
  const look = async () => (await pool.query<{ revision: string; next_at: Date }>(text, [name])).rows[0];
  return eventually(look, { withinMs: 30_000, what: `schedule ${name} being declared` });
}

/** Sets the next tick of a schedule, instead of waiting. */
export async function setNextTick({ pool }: Database, name: string, atMs: number): Promise<void> {
  await pool.query("update hark.schedules set next_at = to_timestamp($2::float8 / 1000) where name = $1", [name, atMs]);
}

/** The time by the database's clock, in epoch ms. */
export async function databaseNow({ pool }: Database): Promise<number> {
  const { rows } = await pool.query<{ ms: number }>(
    "select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms",
  );
  return Math.floor(rows[0]!.ms);
}
