import type { Queryable } from "../database.ts";
import { type DeadRows, type HorizonHolder, horizonHolders } from "../statements/upkeep/horizon-holders.ts";

/**
 * Age from which what holds vacuum back is worth a word, in ms: autovacuum comes once a minute
 * (autovacuum_naptime).
 */
const oldMs = 60_000;

export interface OldSnapshot extends HorizonHolder {
  readonly deadRows: DeadRows;
}

/**
 * What has kept dead rows from being cleared away for longer than `olderThanMs` (60 s if not
 * given), the longest known first, at most 100. What the server gives no age for is left out, but
 * for a replication slot that nobody uses.
 */
export async function listOldSnapshots(
  db: Queryable,
  { olderThanMs = oldMs }: { olderThanMs?: number } = {},
): Promise<OldSnapshot[]> {
  const holders = await horizonHolders(db, { olderThanMs });
  return holders.filter(
    ({ heldMs, kind, state }) => heldMs !== undefined || (kind === "replication slot" && state === "inactive"),
  );
}
