import { withJsonIds } from "../../json-ids.ts";
import { asId, statement } from "../statement.ts";

export interface DeletedDeadJob {
  readonly id: bigint;
  readonly type: string;
}

/**
 * Deletes dead letters for ever; a trigger takes them off the counts. Returns those that it found.
 * Locks rows in the order of their ids, as requeue-jobs.ts does.
 */
export const deleteDeadJobs = statement<{ ids: readonly bigint[] }, DeletedDeadJob>(
  "delete-dead-jobs",
  ["ids"],
  `with found as materialized (
     select id from hark.dead_jobs where id = any ($1::bigint[]) order by id for update),
   gone as (
     delete from hark.dead_jobs where id = any (array(select id from found)) returning id, type)
   select id, type from gone`,
  (row) => withJsonIds({ id: asId(row.id), type: row.type as string }),
);
