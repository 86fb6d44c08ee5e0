import { integer, jsonb, smallint, text, timestamp } from "drizzle-orm/pg-core";

/**
 * What a job carries from table to table, whatever stage it is in. The stage's own columns stand in
 * its table's file.
 */
export const jobColumns = () => ({
  /** The lane it runs in. */
  queue: text().notNull(),
  /** The name of its job type. */
  type: text().notNull(),
  /** Its input, sealed if the producer has a cipher. */
  payload: jsonb().notNull(),
  /** Higher is claimed first. */
  priority: integer().notNull(),
  /** Attempts that count so far; of a running job, the one that runs. */
  attempt: smallint().notNull(),
  /** Attempts in all. */
  maxAttempts: smallint("max_attempts").notNull(),
  /** How many workers died while it ran. */
  crashCount: smallint("crash_count").notNull(),
  /** No two jobs of a queue with the same key run at once. */
  key: text(),
  /** One unfinished job of a queue at most has it. */
  uniqueKey: text("unique_key"),
  /** The earliest start. */
  runAt: timestamp("run_at", { withTimezone: true }).notNull(),
  /** When it was enqueued. */
  createdAt: timestamp("created_at", { withTimezone: true }).notNull(),
});
