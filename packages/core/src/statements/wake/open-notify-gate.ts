import { statement } from "../statement.ts";

/**
 * Opens the notify gates of queues until this session ends or calls closeNotifyGate, and then lists
 * the transactions that are writing, see openWriters. Call it once per opening: a session's locks
 * are counted. Waits while a producer tries a lock, which is for microseconds.
 *
 * An open gate is a shared advisory lock. Its first key is "hark" in ASCII, and its second the hash
 * of the queue's name. The trigger hark.announce_jobs tries the same lock, and notifies while a
 * session holds it. Two queues with the same hash share a gate, which costs notifications and loses
 * none. The list refers to the locks, so that no plan can draw it up before all of them are held.
 */
export const openNotifyGate = statement<{ queues: readonly string[] }, { writers: string[] }>(
  "open-notify-gate",
  ["queues"],
  `with gate as materialized (
     select count(pg_advisory_lock_shared(1751216747, hashtext(queue))::text) as opened from unnest($1::text[]) queue)
   select array(
     select virtualtransaction from pg_locks
      where locktype = 'relation' and relation = 'hark.jobs'::regclass and mode = 'RowExclusiveLock' and granted
        and database = (select oid from pg_database where datname = current_database())
        and pid <> pg_backend_pid() and virtualtransaction not like '%/0'
        and gate.opened is not null) as writers
     from gate`,
  (row) => ({ writers: row.writers as string[] }),
);
