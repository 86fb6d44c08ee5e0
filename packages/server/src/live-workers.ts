import type { Executor } from "@hark/core";
import type { RuntimeHealth } from "./runtime.ts";

/** Who runs jobs, by the leases in the database: for a server whose own process runs none. */
export async function liveWorkers(db: Executor): Promise<RuntimeHealth> {
  const { rows } = await db.query({
    name: "count-live-workers",
    text: `select count(*)::int as live from hark.workers where dead_at is null and expires_at > clock_timestamp()`,
    values: [],
  });
  const live = rows[0]?.live as number;
  return { isRunning: live > 0, activeWorkers: live };
}
