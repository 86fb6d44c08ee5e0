import type { Database } from "../database.ts";
import { requeueJobs, type RequeuedJob } from "../statements/settle/requeue-jobs.ts";
import { checkId } from "./check-id.ts";

/**
 * Makes a dead letter ready again with all its attempts before it. Returns undefined if there is no
 * such dead letter, and `isRequeued: false` if another unfinished job holds its unique key.
 */
export async function requeueDeadJob(db: Database, id: bigint): Promise<RequeuedJob | undefined> {
  const [requeued] = await requeueJobs(db, { ids: [checkId("requeueDeadJob", id)] });
  return requeued;
}
