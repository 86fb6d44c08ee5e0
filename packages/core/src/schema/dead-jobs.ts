import { index } from "drizzle-orm/pg-core";
import { deadJobsColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Dead letters, whole, with the reason and the last error, until someone requeues or prunes them.
 */
export const deadJobs = hark.table("dead_jobs", deadJobsColumns(), (job) => [
  index("dead_jobs_type").on(job.type, job.finishedAt),
  index("dead_jobs_finished_at").on(job.finishedAt),
]);
