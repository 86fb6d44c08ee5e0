import { checkOptions } from "../check-options.ts";
import type { Queryable } from "../database.ts";
import { removeSchedule as removeScheduleRow } from "../statements/cron/remove-schedule.ts";

/**
 * Removes a schedule by its name, and returns whether there was one. Jobs that it enqueued stay. A
 * worker that still declares it fires it no more, and brings it back when it starts again: take it
 * out of `createWorker({ schedules })` first.
 */
export async function removeSchedule(db: Queryable, name: string): Promise<boolean> {
  checkOptions("removeSchedule", { name: name ?? null }, { name: "text" });
  return (await removeScheduleRow(db, { name })).length > 0;
}
