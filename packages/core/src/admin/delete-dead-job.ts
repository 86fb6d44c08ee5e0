import type { Database } from "../database.ts";
import { deleteDeadJobs, type DeletedDeadJob } from "../statements/upkeep/delete-dead-jobs.ts";
import { checkId } from "./check-id.ts";

/** Deletes a dead letter for ever. Returns undefined if there is no such dead letter. */
export async function deleteDeadJob(db: Database, id: bigint): Promise<DeletedDeadJob | undefined> {
  const [deleted] = await deleteDeadJobs(db, { ids: [checkId("deleteDeadJob", id)] });
  return deleted;
}
