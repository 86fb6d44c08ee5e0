import { sql } from "drizzle-orm";
import { bigint, index, smallint, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

/**
 * The ledger of every ending other than a clean first success: append only, in partitions by day.
 */
export const attempts = hark.table(
  "attempts",
  {
    jobId: bigint("job_id", { mode: "bigint" }).notNull(),
    queue: text().notNull(),
    type: text().notNull(),
    attempt: smallint().notNull(),
    ending: text({
      enum: ["completed", "error", "retry_after", "fatal", "timeout", "cancelled", "snoozed", "interrupted", "crashed"],
    }).notNull(),
    error: text(),
    worker: uuid(),
    token: uuid(),
    startedAt: timestamp("started_at", { withTimezone: true }),
    finishedAt: timestamp("finished_at", { withTimezone: true }).notNull(),
    /** When the job may run again; null if this was its end. */
    retryAt: timestamp("retry_at", { withTimezone: true }),
  },
  (attempt) => [
    index("attempts_job_id")
      .using("brin", sql`${attempt.jobId} int8_minmax_multi_ops`)
      .with({ pages_per_range: 16, autosummarize: true }),
  ],
);
