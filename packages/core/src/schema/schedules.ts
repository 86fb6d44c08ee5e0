import { sql } from "drizzle-orm";
import { bigint, check, integer, jsonb, primaryKey, smallint, text, timestamp } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

/**
 * Recurring rules, one row each, with the job that each tick of one enqueues. Written by workers
 * that declare them.
 */
export const schedules = hark.table(
  "schedules",
  {
    name: text().primaryKey(),
    /** A pattern in the zone, or an interval: one of the two. */
    cron: text(),
    zone: text(),
    everyMs: bigint("every_ms", { mode: "number" }),
    missed: text({ enum: ["none", "once", "all"] }).notNull(),
    queue: text().notNull(),
    type: text().notNull(),
    payload: jsonb().notNull(),
    priority: integer().notNull(),
    maxAttempts: smallint("max_attempts").notNull(),
    key: text(),
    uniqueKey: text("unique_key"),
    /** Grows with each change of the declaration, so that nobody fires by an older one. */
    revision: bigint({ mode: "number" }).notNull(),
    /** The earliest tick that was not dealt with yet; null if there is none any more. */
    nextAt: timestamp("next_at", { withTimezone: true }),
    changedAt: timestamp("changed_at", { withTimezone: true }).notNull(),
  },
  () => [
    check("schedules_name", sql`octet_length(name) <= 63 and name ~ '^[a-z0-9][a-z0-9_.:-]*$'`),
    check("schedules_rule", sql`(cron is null) = (zone is null) and (cron is null) = (every_ms is not null)`),
    check("schedules_missed", sql`missed in ('none', 'once', 'all')`),
  ],
);

/**
 * The ticks of a day that were fired, each at most once: a schedule's `next_at` may be set back, by
 * hand or by a declaration that races with a firing, and its ticks are not fired again for that. No
 * unique key of a job does this: it is free when the job ends.
 */
export const scheduleTicks = hark.table(
  "schedule_ticks",
  {
    schedule: text().notNull(),
    tick: timestamp({ withTimezone: true }).notNull(),
    firedAt: timestamp("fired_at", { withTimezone: true }).notNull(),
  },
  (fired) => [primaryKey({ columns: [fired.schedule, fired.tick] })],
);
