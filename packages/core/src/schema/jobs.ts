import { sql } from "drizzle-orm";
import { check, index } from "drizzle-orm/pg-core";
import { waitingJobColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Waiting jobs: `scheduled`, `ready` or `parked`. Inserted by enqueue, retry and rescue, deleted by
 * the claim, and updated only by promote, park and hand-off. `run_at` is when a job may start;
 * promotion sets it to when it became ready.
 */
export const jobs = hark.table("jobs", waitingJobColumns(), (job) => [
  // The order must equal the claim's: `desc()` would write NULLS LAST, which `order by priority
  // desc` cannot use.
  index("jobs_ready")
    .on(job.queue, sql`${job.priority} desc`, job.id)
    .where(sql`state = 'ready'`),
  // For claims by type, where jobs of other types stand in front (docs/decisions/0031). A hash,
  // since the two names made the index a third larger, and inserts slower.
  index("jobs_by_type")
    .on(sql`hashtext(type || queue)`, sql`${job.priority} desc`, job.id)
    .where(sql`state = 'ready'`),
  index("jobs_due")
    .on(job.runAt)
    .where(sql`state = 'scheduled'`),
  index("jobs_key")
    .on(job.queue, job.key, job.state, sql`${job.priority} desc`, job.id)
    .where(sql`key is not null`),
  check("jobs_state", sql`state in ('scheduled', 'ready', 'parked')`),
  // The same rule as names.ts: these names travel in NOTIFY payloads, URLs and log lines. The
  // length stands beside the pattern: {0,62} inside it took 2.1 us a name instead of 0.25, and
  // two names were a third of what an insert cost the server.
  check("jobs_queue_name", sql`octet_length(queue) <= 63 and queue ~ '^[a-z0-9][a-z0-9_.:-]*$'`),
  check("jobs_type_name", sql`octet_length(type) <= 63 and type ~ '^[a-z0-9][a-z0-9_.:-]*$'`),
  check("jobs_attempts", sql`attempt >= 0 and attempt < max_attempts`),
  check("jobs_parked_has_key", sql`state <> 'parked' or key is not null`),
  check("jobs_key_length", sql`octet_length(key) between 1 and 1024 and octet_length(unique_key) between 1 and 1024`),
]);
