import { asc, getTableColumns, max, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Database } from "../database.ts";
import { schedules, scheduleTicks } from "../schema/index.ts";

export type StoredSchedule = Omit<typeof schedules.$inferSelect, "payload"> & {
  /** The newest tick that was fired; null if none was. */
  lastTickAt: Date | null;
  /** How long `nextAt` is past, in ms by the database's clock; 0 while it is ahead, or if there is none. */
  lateMs: number;
};

/** Answers all schedules by name, without payloads. One that is late for long is declared by no worker that runs. */
export async function listSchedules({ pool }: Database): Promise<StoredSchedule[]> {
  const { payload: _, ...columns } = getTableColumns(schedules);
  const db = drizzle(pool);
  const lastTickAt = db
    .select({ lastTickAt: max(scheduleTicks.tick) })
    .from(scheduleTicks)
    .where(sql`${scheduleTicks.schedule} = ${schedules.name}`);
  return db
    .select({
      ...columns,
      lastTickAt: sql<Date | null>`(${lastTickAt})`.mapWith(scheduleTicks.tick),
      lateMs: sql<number>`greatest(0, coalesce(floor(extract(epoch from clock_timestamp() - ${schedules.nextAt}) * 1000), 0))::float8`,
    })
    .from(schedules)
    .orderBy(asc(schedules.name));
}
