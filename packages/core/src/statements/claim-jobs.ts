import { asId, type RawRow, statement } from "./statement.ts";

export interface ClaimRequest {
  readonly queue: string;
  readonly limit: number;
  /** The claiming process's identity; a dead one claims nothing. */
  readonly worker: string;
  /** New for every claim, so that no two claims of a job share one: proof of ownership for every later write. */
  readonly token: string;
  /** Only jobs of these types: what the worker has handlers for. */
  readonly types: readonly string[];
}

/** A job in a worker's hands. */
export interface ClaimedJob {
  readonly id: bigint;
  readonly queue: string;
  readonly type: string;
  readonly payload: unknown;
  readonly priority: number;
  /** From 1, this one included. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly crashCount: number;
  readonly key: string | undefined;
  readonly token: string;
  readonly createdAt: Date;
}

/** A key that is running while ready jobs of it wait: they are to be parked, see park-jobs.ts. */
export interface BlockedJob {
  readonly blockedKey: string;
}

/**
 * Moves up to `limit` of the most urgent ready jobs of a queue to a worker, under a new token; higher priority first, then
 * older. Jobs whose key is running stay, and their keys are answered as blocked.
 *
 * - The order, the limit and the lock stand in a materialized CTE, which runs once whatever the plan (FM-26).
 * - Running keys are left out by what the snapshot shows, so a claim never waits for a transaction that is still completing one
 *   of them. Two claims that meet a free key at once are decided by the unique index; the inserts go in key order, so that
 *   they wait for each other in one order only (FM-31).
 * - Jobs are deleted by id, never by ctid: a row that moved since it was read would stay behind, in both tables.
 */
export const claimJobs = statement<ClaimRequest, ClaimedJob | BlockedJob>(
  "claim-jobs",
  ["queue", "limit", "worker", "token", "types"],
  `with alive as materialized (
     select id from hark.workers
      where id = $3 and dead_at is null and expires_at > clock_timestamp() for key share),
   next as materialized (
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at
       from hark.jobs
      where queue = $1 and state = 'ready' and type = any ($5::text[]) and exists (select from alive)
        and (key is null or not exists (
          select from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key))
      order by priority desc, id limit $2
        for update skip locked),
   claimed as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid
       from next order by key, priority desc, id
     on conflict (queue, key) where key is not null do nothing
     returning id, type, payload, priority, attempt, max_attempts, crash_count, key, created_at),
   gone as (delete from hark.jobs where id = any (array(select id from claimed))),
   blocked as (
     select key from next where key is not null and not exists (select from claimed where claimed.id = next.id)
     union
     select held.key from hark.running_jobs held, lateral (
       select from hark.jobs where jobs.queue = held.queue and jobs.key = held.key and jobs.state = 'ready' limit 1) waiting
      where held.queue = $1 and held.key is not null)
   select id, type, payload, priority, attempt, max_attempts, crash_count, key, created_at, $1::text as queue, $4::text as token
     from claimed
   union all
   select null, null, null, null, null, null, null, key, null, null, null from blocked`,
  decode,
);

function decode(row: RawRow): ClaimedJob | BlockedJob {
  if (row.id === null) return { blockedKey: row.key as string };
  return {
    id: asId(row.id),
    queue: row.queue as string,
    type: row.type as string,
    payload: row.payload,
    priority: row.priority as number,
    attempt: row.attempt as number,
    maxAttempts: row.max_attempts as number,
    crashCount: row.crash_count as number,
    key: (row.key as string | null) ?? undefined,
    token: row.token as string,
    createdAt: row.created_at as Date,
  };
}
