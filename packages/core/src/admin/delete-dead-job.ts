import type { Database } from "../database.ts";
import { deleteDeadJobs, type DeletedDeadJob } from "../statements/upkeep/delete-dead-jobs.ts";

/** Deletes a dead letter for ever. Returns undefined if there is no such dead letter. */
export async function deleteDeadJob(db: Database, id: bigint): Promise<DeletedDeadJob | undefined> {
  const [deleted] = await deleteDeadJobs(db, { ids: [id] });
  return deleted;
}
