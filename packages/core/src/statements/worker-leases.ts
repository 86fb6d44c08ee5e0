import type { Claim } from "./complete-jobs.ts";
import { isOrphaned } from "./rescue-jobs.ts";
import { statement } from "./statement.ts";

/** Registers a worker process under a new identity, with a lease of `leaseMs`. */
export const registerWorker = statement<
  { id: string; name: string; hostname: string; pid: number; queues: string; leaseMs: number },
  never
>(
  "register-worker",
  ["id", "name", "hostname", "pid", "queues", "leaseMs"],
  `insert into hark.workers (id, name, hostname, pid, queues, started_at, expires_at)
   values ($1, $2, $3, $4, $5::jsonb, clock_timestamp(), clock_timestamp() + $6::float8 * interval '1 ms')`,
  neverReturned,
);

/** Workers of a queue that are told to each other: more would not wait in turn for one job anyway. */
const mostPeers = 256;

/**
 * Renews a lease that still holds; no row means it is lost for good. Never an upsert, which would revive the dead (FM-21).
 * Answers along who lives, this worker too, by each of its queues.
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
                 order by peer.id limit ${mostPeers}))
                from jsonb_object_keys(workers.queues) queue) as peers`,
  (row) => ({ peers: (row.peers ?? {}) as Record<string, string[]> }),
);

/** Ends a worker's registration, once it holds no jobs. */
export const leaveWorkers = statement<{ id: string }, never>(
  "leave-workers",
  ["id"],
  `delete from hark.workers where id = $1`,
  neverReturned,
);

/**
 * Issues death certificates: the only way to declare a process dead. Locks its row in the one mode that conflicts with an
 * open claim's, so that no claim commits for a dead owner. Answers who died, and forgets those that died an hour ago.
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

export interface Survey {
  /** When the next lease of another worker runs out unless it is renewed, in ms by the database's clock. */
  readonly nextExpiryMs: number | undefined;
  /** Some running job's owner is certified dead, or unknown; not counting those that were asked to be left out. */
  readonly hasOrphans: boolean;
  /** The claims that the asking worker holds, as the database sees it. */
  readonly mine: readonly (Claim & { readonly attempt: number })[];
}

export interface SurveyRequest {
  /** Who asks. */
  readonly worker: string;
  /** Orphans to leave out, since no table takes them. */
  readonly except?: readonly bigint[] | undefined;
}

/**
 * All that a rescuer needs to know whether there is anything to do, in one statement, since it asks while all is well, and in one look
 * at what runs: a busy queue leaves many dead rows there.
 */
export const surveyLeases = statement<SurveyRequest, Survey>(
  "survey-leases",
  ["worker", "except"],
  `select (select extract(epoch from min(expires_at) - clock_timestamp())::float8 * 1000
             from hark.workers where dead_at is null and id <> $1) as next_expiry_ms,
          coalesce(bool_or(is_orphaned), false) as has_orphans,
          json_agg(json_build_array(id::text, token, attempt)) filter (where worker = $1) as mine
     from (select id, worker, token, attempt,
                  ${isOrphaned} and id not in (select unnest($2::bigint[])) as is_orphaned
             from hark.running_jobs job) running`,
  (row) => ({
    nextExpiryMs: row.next_expiry_ms === null ? undefined : Number(row.next_expiry_ms),
    hasOrphans: row.has_orphans as boolean,
    mine: ((row.mine ?? []) as [string, string, number][]).map(([id, token, attempt]) => ({
      id: BigInt(id),
      token,
      attempt,
    })),
  }),
);

function neverReturned(): never {
  throw new Error("a statement without RETURNING returned a row");
}
