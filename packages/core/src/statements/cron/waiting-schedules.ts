import { statement } from "../statement.ts";
import type { MissedTicks } from "./declare-schedules.ts";

/** When a schedule is due next, and what one needs to know to fire it. */
export interface WaitingSchedule {
  readonly name: string;
  readonly revision: string;
  readonly cron: string | undefined;
  readonly zone: string | undefined;
  readonly everyMs: number | undefined;
  readonly missed: MissedTicks;
  /** In epoch ms, as `nowMs` is, the time by the database's clock. */
  readonly nextAtMs: number;
  readonly nowMs: number;
}

/** Those of the named schedules that have a tick before them, the earliest first. */
export const waitingSchedules = statement<{ names: readonly string[] }, WaitingSchedule>(
  "waiting-schedules",
  ["names"],
  `select name, revision::text, cron, zone, every_ms::float8, missed, (extract(epoch from next_at) * 1000)::float8 as next_at_ms,
          (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
     from hark.schedules where name = any ($1::text[]) and next_at is not null order by next_at, name`,
  (row) => ({
    name: row.name as string,
    revision: row.revision as string,
    cron: (row.cron as string | null) ?? undefined,
    zone: (row.zone as string | null) ?? undefined,
    everyMs: (row.every_ms as number | null) ?? undefined,
    missed: row.missed as MissedTicks,
    nextAtMs: row.next_at_ms as number,
    nowMs: row.now_ms as number,
  }),
);
