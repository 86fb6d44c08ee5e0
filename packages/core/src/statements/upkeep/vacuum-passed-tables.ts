import type { Queryable } from "../../database.ts";

/**
 * Clears the tables that jobs pass through of the rows that they left behind, but for those that
 * another vacuum is at. PostgreSQL leaves out what the role may not vacuum, without an error. No
 * statement with a name: VACUUM cannot be prepared by PREPARE.
 */
export async function vacuumPassedTables(db: Queryable): Promise<void> {
  const text = "vacuum (skip_locked, parallel 0) hark.jobs, hark.running_jobs, hark.unique_keys";
  await db.query({ text, values: [] });
}
