import { statement } from "../statement.ts";

/**
 * Renews a lease that still holds; no row means it is lost for good. Never an upsert, which would
 * revive the dead (FM-21). Also returns the live workers of each of its queues, this one included:
 * at most 256, since more would not wait in turn for one job anyway.
 */
export const renewLease = statement<
  { id: string; leaseMs: number },
  { peers: Readonly<Record<string, readonly string[]>> }
>(
  "renew-lease",
  ["id", "leaseMs"],
  `update hark.workers set expires_at = clock_timestamp() + $2::float8 * interval '1 ms'
    where id = $1 and dead_at is null and expires_at > clock_timestamp()
   returning (select json_object_agg(queue, array(
                select peer.id from hark.workers peer
                 where peer.queues ? queue and peer.dead_at is null and peer.expires_at > clock_timestamp()
                 order by peer.id limit 256))
                from jsonb_object_keys(workers.queues) queue) as peers`,
  (row) => ({ peers: (row.peers ?? {}) as Record<string, string[]> }),
);
