import type { Queryable } from "../database.ts";
import { statement } from "../statements/statement.ts";
import { asJsonRows, shownRow } from "./shown-rows.ts";

const slotsOfLiveWorkers = statement<Record<string, never>, { count: number }>(
  "count-slots",
  [],
  asJsonRows(`select coalesce(sum(slots::integer), 0)::integer as count
     from hark.workers, jsonb_each_text(queues) as by_queue (queue, slots)
    where dead_at is null and expires_at > clock_timestamp()`),
  (row) => shownRow(row) as { count: number },
);

/** Returns how many jobs may run at the same time in all processes that hold a lease. */
export async function countSlots(db: Queryable): Promise<number> {
  return (await slotsOfLiveWorkers(db, {}))[0]!.count;
}
