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

/** What stood in the claim's way: a ready job whose key is running. See park-jobs.ts. */
export interface BlockedJob {
  readonly blockedKey: string;
}

/**
 * Moves up to `limit` of the most urgent ready jobs of a queue to a worker, under a new token; higher priority first, then
 * older. A job whose key is running stays, and is answered as blocked. The lock, the limit and the order stand in a
 * materialized CTE, which runs once whatever the plan (FM-26); the insert goes in key order, so that two claims which meet
 * the same keys wait for each other in one order only (FM-31); and jobs are deleted by id, never by ctid, since a row that
 * moved in between would then stay behind in both tables.
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
   gone as (delete from hark.jobs where id = any (array(select id from claimed)))
   select id, type, payload, priority, attempt, max_attempts, crash_count, key, created_at, $1::text as queue, $4::text as token
     from claimed
   union all
   select null, null, null, null, null, null, null, next.key, null, null, null
     from next where key is not null and not exists (select from claimed where claimed.id = next.id)`,
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
