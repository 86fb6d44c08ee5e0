import { statement } from "../statement.ts";

/** The key of a queue behind which a walk goes on. */
export interface KeyCursor {
  readonly queue: string;
  readonly key: string;
}

/** Before the first key of all. */
export const firstKey: KeyCursor = { queue: "", key: "" };

export interface UnparkLook {
  readonly unparked: number;
  /** Keys whose next job another transaction holds locked, so that it was left as it was. */
  readonly waiting: number;
  /** Where to go on; undefined at the end. */
  readonly cursor: KeyCursor | undefined;
}

/**
 * Looks at the next `limit` keys of waiting jobs, in the order of queues and keys. Where jobs of a
 * key are parked while none of it is ready and none runs that would hand it on, the most urgent of
 * them becomes ready; if one runs, it is told to hand on. Settles, rescues and cancels hand a key
 * on the moment it comes free. This is for what none of them could take: locked rows, what their
 * snapshot did not show, and rows that somebody deleted by hand.
 *
 * - It steps from key to key in the index, however many jobs a key has: see the recursion.
 * - It never waits for a lock.
 */
export const unparkJobs = statement<KeyCursor & { limit: number }, UnparkLook>(
  "unpark-jobs",
  ["queue", "key", "limit"],
  `with recursive walk as (
     (select queue, key, 1 as place from hark.jobs
       where key is not null and (queue, key) > ($1::text, $2::text) order by queue, key limit 1)
     union all
     select step.queue, step.key, walk.place + 1 from walk, lateral (
       select queue, key from hark.jobs
        where key is not null and (jobs.queue, jobs.key) > (walk.queue, walk.key) order by queue, key limit 1) step
      where walk.place < $3::integer),
   stranded as materialized (
     select queue, key, (
         select id from hark.running_jobs held where held.queue = walk.queue and held.key = walk.key limit 1) as runner
       from walk
      where (select true from hark.jobs parked
              where parked.queue = walk.queue and parked.key = walk.key and parked.state = 'parked' limit 1)
        and (select true from hark.jobs ready
              where ready.queue = walk.queue and ready.key = walk.key and ready.state = 'ready' limit 1) is null
        and (select true from hark.running_jobs held
              where held.queue = walk.queue and held.key = walk.key and held.hands_off limit 1) is null),
   locked as materialized (
     select first.id from stranded, lateral (
       select id from hark.jobs
        where jobs.queue = stranded.queue and jobs.key = stranded.key and jobs.state = 'parked'
        order by priority desc, id limit 1 for update skip locked) first
      where runner is null),
   unparked as (
     update hark.jobs set state = 'ready', run_at = clock_timestamp()
      where id = any (array(select id from locked)) returning id),
   held as materialized (
     select id from hark.running_jobs
      where id = any (array(select runner from stranded)) order by id for no key update skip locked),
   told as (update hark.running_jobs set hands_off = true where id = any (array(select id from held)) returning id)
   select (select count(*) from unparked)::int as unparked,
          ((select count(*) from stranded) - (select count(*) from unparked) - (select count(*) from told))::int as waiting,
          last.queue, last.key
     from (values (1)) one left join (select queue, key from walk where place = $3::integer) last on true`,
  ({ unparked, waiting, queue, key }) => ({
    unparked: unparked as number,
    waiting: waiting as number,
    cursor: queue === null ? undefined : { queue: queue as string, key: key as string },
  }),
);
