import { statement } from "../statement.ts";

/** The time by the database's clock, in epoch ms. */
export const databaseTime = statement<Record<string, never>, { nowMs: number }>(
  "database-time",
  [],
  `select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`,
  (row) => ({ nowMs: row.now_ms as number }),
);
