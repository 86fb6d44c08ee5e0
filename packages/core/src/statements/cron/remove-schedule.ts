import { statement } from "../statement.ts";

/** Removes a schedule, and tells schedulers; no row if there was none. Its jobs stay. */
export const removeSchedule = statement<{ name: string }, { name: string }>(
  "remove-schedule",
  ["name"],
  `with removed as (delete from hark.schedules where name = $1 returning name),
   forgotten as (delete from hark.schedule_ticks where schedule in (select name from removed))
   select name, pg_notify('schedule_changed', name)::text as told from removed`,
  (row) => ({ name: row.name as string }),
);
