import type { Queryable } from "../database.ts";
import { statement } from "../statements/statement.ts";
import { asJsonRows, shownRow } from "./shown-rows.ts";

/** A recurring rule, without the payload of its jobs. */
export interface StoredSchedule {
  name: string;
  cron: string | null;
  zone: string | null;
  everyMs: number | null;
  missed: "none" | "once" | "all";
  queue: string;
  type: string;
  priority: number;
  maxAttempts: number;
  key: string | null;
  uniqueKey: string | null;
  revision: number;
  nextAt: Date | null;
  changedAt: Date;
  /** The newest tick that was fired; null if none was. */
  lastTickAt: Date | null;
  /**
   * How long `nextAt` is past, in ms by the database's clock; 0 while it is ahead, or if there is
   * none.
   */
  lateMs: number;
}

const storedSchedules = statement<Record<string, never>, StoredSchedule>(
  "list-schedules",
  [],
  asJsonRows(`select name, cron, zone, every_ms::float8, missed, queue, type, priority, max_attempts, key, unique_key, revision::float8,
          next_at, changed_at,
          (select max(tick) from hark.schedule_ticks where schedule = schedules.name) as last_tick_at,
          greatest(0, coalesce(floor(extract(epoch from clock_timestamp() - next_at) * 1000), 0))::float8 as late_ms
     from hark.schedules order by name`),
  (row) => shownRow(row) as StoredSchedule,
);

/**
 * Returns all schedules by name, without payloads. One that has been late for long is declared by
 * no worker that runs.
 */
export async function listSchedules(db: Queryable): Promise<StoredSchedule[]> {
  return storedSchedules(db, {});
}
