import { sql } from "drizzle-orm";
import { bigint, check, index, timestamp, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";
import { jobColumns } from "./job-columns.ts";

/**
 * Claimed jobs, each under the token of its claim. The unique index on the key is the rule itself: two running jobs of one
 * key cannot exist, whatever the code does.
 */
export const runningJobs = hark.table(
  "running_jobs",
  {
    id: bigint({ mode: "bigint" }).primaryKey(),
    ...jobColumns(),
    startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
    worker: uuid().notNull(),
    token: uuid().notNull(),
  },
  (job) => [
    uniqueIndex("running_jobs_key")
      .on(job.queue, job.key)
      .where(sql`key is not null`),
    index("running_jobs_worker").on(job.worker),
    check("running_jobs_attempts", sql`attempt between 1 and max_attempts`),
  ],
);
