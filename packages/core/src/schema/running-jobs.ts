import { sql } from "drizzle-orm";
import { bigint, check, timestamp, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";
import { jobColumns } from "./job-columns.ts";

/**
 * Claimed jobs, each under the token of its claim. The unique index on the key is the rule itself:
 * two running jobs of one key cannot exist, whatever the code does. No index by worker: only a
 * rescue asks for it, once a lease, of a table that holds what runs at the moment
 * (docs/decisions/0009).
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
    check("running_jobs_attempts", sql`attempt between 1 and max_attempts`),
  ],
);
