import type { Database } from "@hark/core";
import { expect } from "vitest";

/**
 * Waits until a table of Hark was vacuumed by a VACUUM statement, as a worker does. Autovacuum does
 * not count.
 */
export async function untilVacuumed(db: Database, table: string): Promise<void> {
  const count = async () => {
    const { rows } = await db.pool.query<{ vacuums: string }>(
      "select vacuum_count as vacuums from pg_stat_user_tables where relid = ('hark.' || $1)::regclass",
      [table],
    );
    return Number(rows[0]!.vacuums);
  };
  await expect.poll(count, { timeout: 90_000, message: `${table} is vacuumed` }).toBeGreaterThan(0);
}
