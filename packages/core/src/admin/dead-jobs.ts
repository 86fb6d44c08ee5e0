import { and, asc, eq, getTableColumns, gt, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Database } from "../database.ts";
import { InvalidOptionsError } from "../errors/index.ts";
import { shownPayload } from "../payload-cipher.ts";
import { deadJobs } from "../schema/index.ts";

/** By time, then id: a place in the list means the same job until one before it leaves. */
const oldestFirst = [asc(deadJobs.finishedAt), asc(deadJobs.id)];

export type DeadJob = typeof deadJobs.$inferSelect;

/**
 * Answers the oldest dead letters first, at most `limit` (1 to 200), so that an index into the list keeps its meaning. With
 * `withPayload: false` their payloads are not read, and null: for who may not see them. Sealed ones are shown as "[encrypted]".
 */
export async function listDeadJobs(
  { pool }: Database,
  { limit = 100, type, withPayload = true }: { limit?: number; type?: string; withPayload?: boolean } = {},
): Promise<DeadJob[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 200) {
    throw new InvalidOptionsError("listDeadJobs", [
      { path: ["limit"], message: `must be an integer from 1 to 200, not ${limit}` },
    ]);
  }
  const { payload, ...others } = getTableColumns(deadJobs);
  const columns = { ...others, payload: withPayload ? payload : sql<null>`null` };
  const found = await drizzle(pool)
    .select(columns)
    .from(deadJobs)
    .where(type === undefined ? undefined : eq(deadJobs.type, type))
    .orderBy(...oldestFirst)
    .limit(limit);
  return found.map((job) => ({ ...job, payload: shownPayload(job.payload) }));
}

/** Answers the id of the dead letter at a place in that list, from 0; undefined beyond its end. */
export async function deadJobIdAt({ pool }: Database, index: number): Promise<bigint | undefined> {
  const [found] = await drizzle(pool)
    .select({ id: deadJobs.id })
    .from(deadJobs)
    .orderBy(...oldestFirst)
    .offset(index)
    .limit(1);
  return found?.id;
}

/**
 * Answers the ids of up to `limit` dead letters with a higher id than `after`, in the order of ids, that is of enqueueing: asked with
 * the last one answered until none comes, it meets each dead letter once, whatever is requeued or dies meanwhile.
 */
export async function deadJobIdsAfter(
  { pool }: Database,
  { after, limit, type }: { after: bigint; limit: number; type?: string | undefined },
): Promise<bigint[]> {
  const found = await drizzle(pool)
    .select({ id: deadJobs.id })
    .from(deadJobs)
    .where(and(gt(deadJobs.id, after), type === undefined ? undefined : eq(deadJobs.type, type)))
    .orderBy(asc(deadJobs.id))
    .limit(limit);
  return found.map(({ id }) => id);
}
