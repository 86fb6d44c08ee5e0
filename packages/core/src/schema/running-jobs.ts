import { sql } from "drizzle-orm";
import { check, uniqueIndex } from "drizzle-orm/pg-core";
import { runningJobsColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Claimed jobs, each under the token of its claim. The unique index on the key is the rule itself:
 * two running jobs of one key cannot exist, whatever the code does. No index by worker: only a
 * rescue asks for it, once a lease, of a table that holds what runs at the moment
 * (docs/decisions/0009).
 */
export const runningJobs = hark.table("running_jobs", runningJobsColumns(), (job) => [
  uniqueIndex("running_jobs_key")
    .on(job.queue, job.key)
    .where(sql`key is not null`),
  check("running_jobs_attempts", sql`attempt between 1 and max_attempts`),
]);
