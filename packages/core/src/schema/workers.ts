import { integer, jsonb, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

/**
 * One row per worker process start: its lease. `dead_at` is the death certificate, after which the
 * identity never comes back. No index on `expires_at`: a renewal stays a heap-only update.
 */
export const workers = hark.table("workers", {
  id: uuid().primaryKey(),
  /** A label for people; never an identity. */
  name: text().notNull(),
  hostname: text().notNull(),
  pid: integer().notNull(),
  /** Concurrency by queue. */
  queues: jsonb().notNull(),
  startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
  expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  deadAt: timestamp("dead_at", { withTimezone: true }),
});
