import { asId, statement } from "../statement.ts";
import type { ClaimedJob } from "./claim.ts";

/**
 * Whether a job must be marked before its handler starts: a crash of its worker may bury it, or
 * have it run alone. All others start without a write.
 */
export const needsMark = ({
  attempt,
  maxAttempts,
  crashCount,
}: Pick<ClaimedJob, "attempt" | "maxAttempts" | "crashCount">): boolean => attempt >= maxAttempts || crashCount > 0;

/**
 * Marks claimed jobs as about to start, and returns those whose claim still holds. If their worker
 * dies, only those with a mark count as tried: see rescue-jobs.ts.
 */
export const beginJobs = statement<
  { ids: readonly bigint[]; tokens: readonly string[] },
  { id: bigint; token: string }
>(
  "begin-jobs",
  ["ids", "tokens"],
  `update hark.running_jobs set begun = true
    where id = any ($1::bigint[]) and token = ($2::uuid[])[array_position($1::bigint[], id)]
   returning id, token`,
  (row) => ({ id: asId(row.id), token: row.token as string }),
);
