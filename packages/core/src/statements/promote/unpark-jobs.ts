import { statement } from "../statement.ts";

/**
 * Makes ready the first parked job of every key that is neither running nor ready. Settles, rescues
 * and cancels hand a key on the moment it comes free; this is for what none of them saw, such as a
 * row that somebody deleted by hand. Returns how many it found.
 */
export const unparkJobs = statement<{ limit: number }, { unparked: number }>(
  "unpark-jobs",
  ["limit"],
  `with stranded as materialized (
     select distinct on (queue, key) id from hark.jobs parked
      where key is not null and state = 'parked'
        and not exists (select from hark.running_jobs r where r.queue = parked.queue and r.key = parked.key)
        and not exists (select from hark.jobs r where r.queue = parked.queue and r.key = parked.key and r.state = 'ready')
      order by queue, key, priority desc, id limit $1),
   locked as materialized (
     select id from hark.jobs where id = any (array(select id from stranded)) and state = 'parked'
      order by id for update skip locked),
   unparked as (
     update hark.jobs set state = 'ready', run_at = clock_timestamp()
      where id = any (array(select id from locked)) returning id)
   select count(*)::int as unparked from unparked`,
  (row) => ({ unparked: row.unparked as number }),
);
