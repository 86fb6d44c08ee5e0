import { sql } from "drizzle-orm";
import { check, primaryKey } from "drizzle-orm/pg-core";
import { scheduleTicksColumns, schedulesColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Recurring rules, one row each, with the job that each tick of one enqueues. Written by workers
 * that declare them.
 */
export const schedules = hark.table("schedules", schedulesColumns(), () => [
  check("schedules_name", sql`octet_length(name) <= 63 and name ~ '^[a-z0-9][a-z0-9_.:-]*$'`),
  check("schedules_rule", sql`(cron is null) = (zone is null) and (cron is null) = (every_ms is not null)`),
  check("schedules_missed", sql`missed in ('none', 'once', 'all')`),
]);

/**
 * The ticks of a day that were fired, each at most once: a schedule's `next_at` may be set back, by
 * hand or by a declaration that races with a firing, and its ticks are not fired again for that. No
 * unique key of a job does this: it is free when the job ends.
 */
export const scheduleTicks = hark.table("schedule_ticks", scheduleTicksColumns(), (fired) => [
  primaryKey({ columns: [fired.schedule, fired.tick] }),
]);
