import { sql } from "drizzle-orm";
import { bigint, index, jsonb, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";
import { jobColumns } from "./job-columns.ts";

/**
 * Completed and cancelled jobs, in partitions by day of `finished_at` that are dropped whole. One
 * small BRIN index: a btree on id cost the server 2.4 us a job (drizzle/ makes the table
 * partitioned, which drizzle-kit cannot say).
 */
export const finishedJobs = hark.table(
  "finished_jobs",
  {
    id: bigint({ mode: "bigint" }).notNull(),
    ...jobColumns(),
    state: text({ enum: ["completed", "cancelled"] }).notNull(),
    result: jsonb(),
    /** Null for a job cancelled before it ran. */
    startedAt: timestamp("started_at", { withTimezone: true }),
    finishedAt: timestamp("finished_at", { withTimezone: true }).notNull(),
    worker: uuid(),
  },
  (job) => [
    index("finished_jobs_id")
      .using("brin", sql`${job.id} int8_minmax_multi_ops`)
      .with({ pages_per_range: 16, autosummarize: true }),
  ],
);
