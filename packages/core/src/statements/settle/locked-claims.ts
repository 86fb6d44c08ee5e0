import { asId, statement } from "../statement.ts";

/**
 * Which of these running jobs another transaction holds locked, so that a settle of them would
 * wait. Never waits itself.
 */
export const lockedClaims = statement<{ ids: readonly bigint[] }, { id: bigint }>(
  "locked-claims",
  ["ids"],
  `with free as materialized (
     select id from hark.running_jobs where id = any ($1::bigint[]) order by id for update skip locked)
   select id from hark.running_jobs where id = any ($1::bigint[]) and id <> all (array(select id from free))`,
  (row) => ({ id: asId(row.id) }),
);
