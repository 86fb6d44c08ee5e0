import { statement } from "./statement.ts";

/**
 * First key of the advisory locks that mark a queue as slept on; the second is the hash of its name. "hark" in ASCII. The trigger
 * hark.announce_jobs tries the same lock. Two queues with one hash share a mark, which costs notifications and loses none.
 */
const gateClass = 1751216747;

/**
 * Transactions of others in this database that hold the lock of a writer on hark.jobs. Once one has left this list, what it
 * committed is visible to every later snapshot: PostgreSQL takes a transaction off the list of running ones before it releases
 * its locks (CommitTransaction in xact.c). In between it shows under the local id 0, and is left out.
 * Prepared ones have no process and may stay for days: the poll finds theirs.
 */
const writers = `
  select virtualtransaction from pg_locks
   where locktype = 'relation' and relation = 'hark.jobs'::regclass and mode = 'RowExclusiveLock' and granted
     and database = (select oid from pg_database where datname = current_database())
     and pid <> pg_backend_pid() and virtualtransaction not like '%/0'`;

/**
 * Marks a queue as slept on, for as long as this session lives or until disarmGate, and then lists the writers. Call it once per
 * mark: the marks of a session are counted. Waits while a producer tries the lock, which is for microseconds.
 * The list names the mark it depends on, so that no plan can draw it up before the mark is set.
 */
export const armGate = statement<{ queue: string }, { writers: string[] }>(
  "arm-gate",
  ["queue"],
  `with mark as materialized (select pg_advisory_lock_shared(${gateClass}, hashtext($1))::text as done)
   select array(${writers} and mark.done is not null) as writers from mark`,
  (row) => ({ writers: row.writers as string[] }),
);

/** Takes the mark away; answers false if this session had none. */
export const disarmGate = statement<{ queue: string }, { wasArmed: boolean }>(
  "disarm-gate",
  ["queue"],
  `select pg_advisory_unlock_shared(${gateClass}, hashtext($1)) as was_armed`,
  (row) => ({ wasArmed: row.was_armed as boolean }),
);

/** Which of these writers are still open; of all writers, if `among` is null. */
export const openWriters = statement<{ among: readonly string[] | null }, { writer: string }>(
  "open-writers",
  ["among"],
  `${writers} and ($1::text[] is null or virtualtransaction = any ($1))`,
  (row) => ({ writer: row.virtualtransaction as string }),
);
