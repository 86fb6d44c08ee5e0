import { bigint, index, text, timestamp } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";
import { jobColumns } from "./job-columns.ts";

/**
 * Dead letters, whole, with the reason and the last error, until someone requeues or prunes them.
 */
export const deadJobs = hark.table(
  "dead_jobs",
  {
    id: bigint({ mode: "bigint" }).primaryKey(),
    ...jobColumns(),
    reason: text({
      enum: ["attempts_exhausted", "unrecoverable", "invalid_payload", "payload_unreadable", "worker_died"],
    }).notNull(),
    error: text().notNull(),
    startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
    finishedAt: timestamp("finished_at", { withTimezone: true }).notNull(),
  },
  (job) => [index("dead_jobs_type").on(job.type, job.finishedAt), index("dead_jobs_finished_at").on(job.finishedAt)],
);
