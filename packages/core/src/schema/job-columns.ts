import { integer, jsonb, smallint, text, timestamp } from "drizzle-orm/pg-core";

/** What a job carries from table to table, whatever stage it is in. The stage's own columns stand in its table's file. */
export const jobColumns = () => ({
  queue: text().notNull(),
  type: text().notNull(),
  payload: jsonb().notNull(),
  priority: integer().notNull(),
  attempt: smallint().notNull(),
  maxAttempts: smallint("max_attempts").notNull(),
  crashCount: smallint("crash_count").notNull(),
  key: text(),
  uniqueKey: text("unique_key"),
  runAt: timestamp("run_at", { withTimezone: true }).notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull(),
});
