import { withJsonIds } from "../../json-ids.ts";
import { asId, statement } from "../statement.ts";

/**
 * A job to insert, in the words of hark.insert_jobs; `payload` is JSON already and is spliced in by
 * {@link jobsJson}.
 */
export interface NewJob {
  readonly type: string;
  readonly queue: string;
  readonly payloadJson: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly key: string | undefined;
  readonly uniqueKey: string | undefined;
  readonly runAt: Date | undefined;
  readonly delayMs: number | undefined;
}

export interface InsertedJob {
  readonly id: bigint;
  readonly status: "inserted" | "duplicate";
}

/**
 * Inserts jobs and returns each one's id, in the order given; for a duplicate, that of the
 * unfinished job with its unique key.
 */
export const insertJobs = statement<{ jobs: string }, InsertedJob>(
  "insert-jobs",
  ["jobs"],
  `select id, status from hark.insert_jobs($1::jsonb)`,
  (row) => withJsonIds({ id: asId(row.id), status: row.status as InsertedJob["status"] }),
);

/** What hark.insert_jobs takes a job to have where it says nothing. */
const defaults = { queue: "default", priority: 0, maxAttempts: 3 };

/**
 * The request of {@link insertJobs}: one JSON array, each payload serialised once, when it was
 * checked. What is the default anyway is left out: to read it in again cost PostgreSQL a seventh of
 * the time of a bulk insert.
 */
export function jobsJson(jobs: readonly NewJob[]): string {
  return `[${jobs.map(jobJson).join(",")}]`;
}

function jobJson({ payloadJson, type, queue, priority, maxAttempts, key, uniqueKey, runAt, delayMs }: NewJob): string {
  const fields = JSON.stringify({
    type,
    queue: queue === defaults.queue ? undefined : queue,
    priority: priority === defaults.priority ? undefined : priority,
    max_attempts: maxAttempts === defaults.maxAttempts ? undefined : maxAttempts,
    key,
    unique_key: uniqueKey,
    run_at: runAt,
    delay_ms: delayMs,
  });
  return `${fields.slice(0, -1)},"payload":${payloadJson}}`;
}
