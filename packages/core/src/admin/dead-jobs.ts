import type { Queryable } from "../database.ts";
import { InvalidOptionsError } from "../errors/index.ts";
import type { DeadReason } from "../outcome.ts";
import { shownPayload } from "../payload-cipher.ts";
import { asId } from "../statements/statement.ts";
import { shownRow } from "./shown-row.ts";

/** A dead letter. */
export interface DeadJob {
  id: bigint;
  queue: string;
  type: string;
  payload: unknown;
  priority: number;
  attempt: number;
  maxAttempts: number;
  crashCount: number;
  key: string | null;
  uniqueKey: string | null;
  runAt: Date;
  createdAt: Date;
  reason: DeadReason;
  error: string;
  startedAt: Date;
  finishedAt: Date;
}

/** Without the payload. */
const columns = `id, queue, type, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, reason, error,
                 started_at, finished_at`;

/**
 * Returns the oldest dead letters first, at most `limit` (1 to 200), so that an index into the list
 * keeps its meaning. With `withPayload: false` their payloads are not read, and null: for callers
 * that may not see them. Sealed ones are shown as "[encrypted]".
 */
export async function listDeadJobs(
  db: Queryable,
  { limit = 100, type, withPayload = true }: { limit?: number; type?: string; withPayload?: boolean } = {},
): Promise<DeadJob[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 200) {
    throw new InvalidOptionsError("listDeadJobs", [
      { path: ["limit"], message: `must be an integer from 1 to 200, not ${limit}` },
    ]);
  }
  // By time, then id: a place in the list means the same job until one before it leaves.
  const { rows } = await db.query({
    text: `select ${columns}, ${withPayload ? "payload" : "null as payload"} from hark.dead_jobs
            ${type === undefined ? "" : "where type = $2"} order by finished_at, id limit $1`,
    values: type === undefined ? [limit] : [limit, type],
  });
  return rows.map((row) => ({ ...(shownRow(row) as DeadJob), payload: shownPayload(row.payload) }));
}

/** Returns the id of the dead letter at a place in that list, from 0; undefined beyond its end. */
export async function deadJobIdAt(db: Queryable, index: number): Promise<bigint | undefined> {
  const text = `select id from hark.dead_jobs order by finished_at, id limit 1 offset $1`;
  const { rows } = await db.query({ text, values: [index] });
  return rows.map(({ id }) => asId(id))[0];
}

/**
 * Returns the ids of up to `limit` dead letters with a higher id than `after`, in the order of ids,
 * that is of enqueueing. Called with the last id returned until none comes, it meets each dead
 * letter once, whatever is requeued or dies meanwhile.
 */
export async function deadJobIdsAfter(
  db: Queryable,
  { after, limit, type }: { after: bigint; limit: number; type?: string | undefined },
): Promise<bigint[]> {
  const { rows } = await db.query({
    text: `select id from hark.dead_jobs where id > $1 ${type === undefined ? "" : "and type = $3"} order by id limit $2`,
    values: type === undefined ? [after, limit] : [after, limit, type],
  });
  return rows.map(({ id }) => asId(id));
}
