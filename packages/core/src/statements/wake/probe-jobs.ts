import type { Queryable } from "../../database.ts";
import { statement } from "../statement.ts";

/**
 * Whether a queue has ready jobs of these types. It takes no lock and no transaction id, and unlike
 * a claim it sees the jobs that another transaction holds locked: those of a claim that is not
 * committed may come back. So it says yes at least wherever a claim would find something; keep it
 * so when the claim's filter changes, and keep out of it what no claim takes, or idle workers look
 * for that without end.
 */
export const probeJobs = statement<{ queue: string; types: readonly string[] }, { isAnyReady: boolean }>(
  "probe-jobs",
  ["queue", "types"],
  `select exists (select from hark.jobs where queue = $1 and state = 'ready' and type = any ($2::text[])) as is_any_ready`,
  (row) => ({ isAnyReady: row.is_any_ready as boolean }),
);

/** Whether a queue has ready jobs of these types, locked ones too. */
export async function isAnyReady(
  db: Queryable,
  request: { queue: string; types: readonly string[] },
): Promise<boolean> {
  return (await probeJobs(db, request))[0]!.isAnyReady;
}
