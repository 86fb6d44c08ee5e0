import { and, count, gt, isNull, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Database } from "../database.ts";
import { workers } from "../schema/index.ts";

/** How many worker processes hold a lease. */
export async function countLiveWorkers({ pool }: Database): Promise<number> {
  const [live] = await drizzle(pool)
    .select({ count: count() })
    .from(workers)
    .where(and(isNull(workers.deadAt), gt(workers.expiresAt, sql`clock_timestamp()`)));
  return live!.count;
}
