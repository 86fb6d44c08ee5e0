import { statement } from "../statement.ts";

/**
 * Which of these transactions of others still hold a writer's lock on hark.jobs in this database;
 * of all transactions, if `among` is null. Once one has left this list, what it committed is
 * visible to every later snapshot: PostgreSQL takes a transaction off the list of running ones
 * before it releases its locks (CommitTransaction in xact.c). In between it shows under the local
 * id 0, and is left out. Prepared transactions have no process and may stay for days. They are left
 * out too: the poll finds their jobs.
 */
export const openWriters = statement<{ among: readonly string[] | null }, { writer: string }>(
  "open-writers",
  ["among"],
  `select virtualtransaction from pg_locks
    where locktype = 'relation' and relation = 'hark.jobs'::regclass and mode = 'RowExclusiveLock' and granted
      and database = (select oid from pg_database where datname = current_database())
      and pid <> pg_backend_pid() and virtualtransaction not like '%/0'
      and ($1::text[] is null or virtualtransaction = any ($1))`,
  (row) => ({ writer: row.virtualtransaction as string }),
);
