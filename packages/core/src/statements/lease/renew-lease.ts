import { statement } from "../statement.ts";

/** Another live worker, or this one. */
export interface Peer {
  readonly id: string;
  /** Those of the asking worker's queues that it serves; null if it serves them all. */
  readonly queues: readonly string[] | null;
}

export interface Renewal {
  /** Stands for the set of live workers: another value is another set. */
  readonly fleet: string;
  /**
   * The live workers that serve one of this worker's queues, this one included: at most 256, since
   * more would not wait in turn for one job anyway. Undefined if the fleet is the one that is
   * known.
   */
  readonly peers: readonly Peer[] | undefined;
  /**
   * When the next lease of another worker runs out unless it is renewed, in ms by the database's
   * clock; negative if it has. Undefined if there is no other worker.
   */
  readonly othersExpireInMs: number | undefined;
  /** How full the server's queue of notifications is, from 0 to 1. */
  readonly notificationQueueUsage: number;
}

export interface RenewalRequest {
  readonly id: string;
  readonly leaseMs: number;
  /** The fleet of the last answer, or "" at first. */
  readonly knownFleet: string;
  /** The lease may have run out, since the database was out of reach or the process stood still. */
  readonly mayRevive?: boolean | undefined;
}

/**
 * Renews a lease that still holds; no row means it is lost for good. Never an upsert, which would
 * revive the dead (FM-21). With `mayRevive` it also renews one that has run out while nobody
 * declared its worker dead: until then nobody takes its jobs, and the row's lock decides between
 * the two. `steady_since` starts again after a gap of half a lease (docs/decisions/0037). It comes
 * every few seconds anyway, so it also tells what a worker has to know of the others, from the one
 * small table that it touches. The lists of queues are read only when the fleet has changed: for a
 * worker of 1,000 queues that takes some ms for each peer.
 */
export const renewLease = statement<RenewalRequest, Renewal>(
  "renew-lease",
  ["id", "leaseMs", "knownFleet", "mayRevive"],
  `with renewed as (
     update hark.workers set expires_at = clock_timestamp() + $2::float8 * interval '1 ms',
            steady_since = case when expires_at < clock_timestamp() + $2::float8 / 2 * interval '1 ms'
                                then clock_timestamp() else steady_since end
      where id = $1 and dead_at is null and (expires_at > clock_timestamp() or $4::boolean is true)
     returning queues),
   fleet as materialized (
     select md5(string_agg(id::text, ' ' order by id) filter (where expires_at > clock_timestamp())) as digest,
            extract(epoch from min(expires_at) filter (where id <> $1) - clock_timestamp())::float8 * 1000 as others_expire_in_ms
       from hark.workers where dead_at is null)
   select digest as fleet, others_expire_in_ms, pg_notification_queue_usage() as notification_queue_usage,
          case when digest is distinct from $3 then (
            select json_agg(json_build_array(peer.id, case when not peer.queues ?& mine.queues then array(
                     select jsonb_object_keys(peer.queues) intersect select unnest(mine.queues)) end))
              from (select array(select jsonb_object_keys(renewed.queues)) as queues) mine
             cross join lateral (
               select id, queues from hark.workers
                where dead_at is null and expires_at > clock_timestamp() and workers.queues ?| mine.queues
                order by id limit 256) peer) end as peers
     from renewed, fleet`,
  (row) => ({
    fleet: row.fleet as string,
    peers: (row.peers as [string, string[] | null][] | null)?.map(([id, queues]) => ({ id, queues })),
    othersExpireInMs: row.others_expire_in_ms === null ? undefined : Number(row.others_expire_in_ms),
    notificationQueueUsage: Number(row.notification_queue_usage),
  }),
);
