import type { Claim } from "../settle/complete-jobs.ts";
import { asId, statement } from "../statement.ts";

/**
 * Up to `limit` jobs of dead workers in the order in which they are rescued, leaving out those of
 * `except`: for a rescuer that has to go row by row.
 */
export const listOrphans = statement<{ limit: number; except: readonly bigint[] }, Claim>(
  "list-orphans",
  ["limit", "except"],
  `select id, token from hark.running_jobs job
    where not exists (select from hark.workers where workers.id = job.worker and dead_at is null)
      and id not in (select unnest($2::bigint[]))
    order by id limit $1`,
  (row) => ({ id: asId(row.id), token: row.token as string }),
);
