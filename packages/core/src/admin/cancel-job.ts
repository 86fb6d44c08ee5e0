import type { Database } from "../database.ts";
import { cancelJob as cancelJobStatement } from "../statements/settle/cancel-job.ts";
import { checkId } from "./check-id.ts";

/**
 * Cancels a job that waits or runs, and returns the state it was in; undefined if it was finished
 * or never existed. A running handler's signal is aborted, and whatever it still returns is
 * refused.
 */
export async function cancelJob(
  db: Database,
  id: bigint,
): Promise<"scheduled" | "ready" | "parked" | "running" | undefined> {
  const job = checkId("cancelJob", id);
  // A job that moves from one table to the next just then is in neither for the statement: it may
  // do so a few times in a row.
  for (let tries = 0; tries < 5; tries += 1) {
    const [cancelled] = await cancelJobStatement(db, { id: job });
    if (cancelled) return cancelled.wasIn;
  }
  return undefined;
}
