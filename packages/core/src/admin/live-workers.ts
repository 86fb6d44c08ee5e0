import type { Queryable } from "../database.ts";
import { statement } from "../statements/statement.ts";

const liveWorkers = statement<Record<string, never>, { count: number }>(
  "count-live-workers",
  [],
  `select count(*)::integer as count from hark.workers where dead_at is null and expires_at > clock_timestamp()`,
  (row) => ({ count: row.count as number }),
);

/** How many worker processes hold a lease. */
export async function countLiveWorkers(db: Queryable): Promise<number> {
  return (await liveWorkers(db, {}))[0]!.count;
}
