import { statement } from "../statement.ts";

/**
 * Issues death certificates: the only way to declare a process dead. Locks its row in the one mode
 * that conflicts with an open claim's, so that no claim commits for a dead owner. Returns the
 * workers that died, and forgets those that died an hour ago.
 */
export const certifyDeaths = statement<Record<string, never>, { id: string; name: string }>(
  "certify-deaths",
  [],
  `with expired as materialized (
     select id from hark.workers where dead_at is null and expires_at < clock_timestamp() order by id for update),
   forgotten as (
     delete from hark.workers where dead_at < clock_timestamp() - interval '1 hour'
        and not exists (select from hark.running_jobs where running_jobs.worker = workers.id))
   update hark.workers set dead_at = clock_timestamp() from expired where workers.id = expired.id
   returning workers.id, workers.name`,
  (row) => ({ id: row.id as string, name: row.name as string }),
);
