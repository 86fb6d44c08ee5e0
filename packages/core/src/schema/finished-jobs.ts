import { sql } from "drizzle-orm";
import { index } from "drizzle-orm/pg-core";
import { finishedJobsColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Completed and cancelled jobs, in partitions by day of `finished_at` that are dropped whole. One
 * small BRIN index: a btree on id cost the server 2.4 us a job (drizzle/ makes the table
 * partitioned, which drizzle-kit cannot say).
 */
export const finishedJobs = hark.table("finished_jobs", finishedJobsColumns(), (job) => [
  index("finished_jobs_id")
    .using("brin", sql`${job.id} int8_minmax_multi_ops`)
    .with({ pages_per_range: 16, autosummarize: true }),
]);
