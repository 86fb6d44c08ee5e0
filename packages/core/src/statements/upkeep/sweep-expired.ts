import { statement } from "../statement.ts";

/**
 * Deletes up to `limit` rows of locks that have expired, and of hosts whose last turn was an hour
 * ago. Returns how many. Neither row means anything any more: a lock's fence comes from a sequence,
 * and a host without a row is free. Rows in use are skipped.
 */
export const sweepExpired = statement<{ limit: number }, { locks: number; hosts: number }>(
  "sweep-expired",
  ["limit"],
  `with locks_gone as (
     delete from hark.locks where ctid = any (array(
       select ctid from hark.locks where expires_at <= clock_timestamp() limit $1 for update skip locked)) returning true),
   hosts_gone as (
     delete from hark.hosts where ctid = any (array(
       select ctid from hark.hosts where free_at < clock_timestamp() - interval '1 hour' limit $1 for update skip locked))
     returning true)
   select (select count(*)::integer from locks_gone) as locks, (select count(*)::integer from hosts_gone) as hosts`,
  (row) => ({ locks: row.locks as number, hosts: row.hosts as number }),
);
