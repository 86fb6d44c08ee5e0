import { type Completions, settledCtes } from "./complete-jobs.ts";
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
  /**
   * Only jobs of a higher id and of this priority or more: what a claim that starts behind the rows which former claims left
   * dead asks for. Without them it looks at the whole queue.
   */
  readonly after?: { readonly id: bigint; readonly priority: number } | undefined;
  /**
   * Do not wait for the disk if only plain jobs are found. Whoever asks for it has to confirm what the answer calls deferred, see
   * confirm-claims.ts; a claim that settles along waits in any case. Not for a transaction of the caller's, which would not wait either.
   */
  readonly mayDefer?: boolean;
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
}

/** Whether a claim of this job may begin before the disk has it, see {@link claimPlainJobs}. */
export const isPlain = ({ key, maxAttempts }: Pick<ClaimedJob, "key" | "maxAttempts">): boolean =>
  key === undefined && maxAttempts > 1;

export interface ClaimAnswer {
  /** The most urgent first. */
  readonly jobs: ClaimedJob[];
  /** Keys that are running while ready jobs of theirs wait: they are to be parked, see park-jobs.ts. */
  readonly blockedKeys: string[];
  /** Of what a claim was to settle along: those whose own claim no longer held, so that nothing of them was touched. */
  readonly refused: ReadonlySet<bigint>;
  /** The claim is committed, but not on the server's disk yet: a crash of the server in the next moment undoes it. */
  readonly isDeferred: boolean;
}

const runningColumns = `id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                             run_at, created_at, started_at, worker, token`;
const runningRowsFrom = (
  rows: string,
) => `select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $3, $4::uuid from ${rows}`;
const claimedColumns = "id, type, payload, priority, attempt, max_attempts, crash_count, key";

/**
 * The most urgent ready jobs of queue $1, locked: none if the claiming worker is dead. Its row is locked too, so that nobody certifies
 * its death before the claim is committed.
 */
const nextCtes = (columns: string, condition = "") => `
   alive as materialized (
     select id from hark.workers
      where id = $3 and dead_at is null and expires_at > clock_timestamp() for key share),
   next as materialized (
     select ${columns} from hark.jobs
      where queue = $1 and state = 'ready' and type = any ($5::text[]) and exists (select from alive)
        and priority >= $6 and id > $7${condition}
      order by priority desc, id limit $2
        for update skip locked)`;

/**
 * The part of a statement that moves up to $2 of the most urgent ready jobs of queue $1 to worker $3, under token $4; higher
 * priority first, then older. Jobs whose key is running stay, and their keys are answered as blocked.
 *
 * - The order, the limit and the lock stand in a materialized CTE, which runs once whatever the plan (FM-26).
 * - Running keys are left out by what the snapshot shows, so a claim never waits for a transaction that is still completing one
 *   of them. Two claims that meet a free key at once are decided by the unique index; the inserts go in key order, so that
 *   they wait for each other in one order only (FM-31).
 * - Jobs without a key go in by themselves: `on conflict` inserts a row on approval and approves it in a second WAL record, which
 *   cost each of them 48 B and a tenth of the claim's time. They are answered as they were read: RETURNING would copy each once more.
 * - In `next` the fields of one length come first, so that a condition on one of them need not step over the payload.
 * - Jobs are deleted by id, never by ctid: a row that moved since it was read would stay behind, in both tables.
 */
const claimedCtes = `${nextCtes(
  "id, priority, attempt, max_attempts, crash_count, run_at, created_at, key, queue, type, payload, unique_key",
  `
        and (key is null or not exists (
          select from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key))`,
)},
   keyed as (
     insert into hark.running_jobs (${runningColumns})
     ${runningRowsFrom("next")} where key is not null order by key, priority desc, id
     on conflict (queue, key) where key is not null do nothing
     returning ${claimedColumns}),
   unkeyed as (
     insert into hark.running_jobs (${runningColumns})
     ${runningRowsFrom("next")} where key is null),
   gone as (
     delete from hark.jobs
      where id = any (array(select id from next where key is null union all select id from keyed))),
   blocked as (
     select key from next where key is not null and not exists (select from keyed where keyed.id = next.id)
     union
     select held.key from hark.running_jobs held, lateral (
       select from hark.jobs where jobs.queue = held.queue and jobs.key = held.key and jobs.state = 'ready' limit 1) waiting
      where held.queue = $1 and held.key is not null)`;

const claimedRows = `
   select id, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key from next where key is null
   union all
   select ${claimedColumns} from keyed
   union all
   select null, null, null, null, null, null, null, key from blocked`;

const parameters = ["queue", "limit", "worker", "token", "types", "leastPriority", "afterId"] as const;

type ClaimParameters = Omit<ClaimRequest, "after"> & { leastPriority: number; afterId: bigint };

export const claimReadyJobs = statement<ClaimParameters, RawRow>(
  "claim-jobs",
  parameters,
  `with ${claimedCtes} ${claimedRows}`,
  (row) => row,
);

/**
 * The same for plain jobs, without waiting for the disk. A job with a key must not start on a claim that a crash may undo, since
 * another of its key would start beside it, nor one that may be tried only once: if one of them is among the most urgent, this
 * takes nothing and answers so.
 *
 * Without the parts that keys need, and with each row copied once, from what is deleted, it has half the nodes of the other plan:
 * a third less time, where that plan cost a claim of one job a tenth of its start latency.
 */
export const claimPlainJobs = statement<ClaimParameters, RawRow>(
  "claim-plain-jobs",
  parameters,
  `with ${nextCtes("id, key, max_attempts")},
   found as materialized (
     select not exists (select from next where key is not null or max_attempts = 1) as are_plain,
            set_config('synchronous_commit', 'off', true)),
   gone as (
     delete from hark.jobs where id = any (array(select id from next where (select are_plain from found)))
     returning *),
   moved as (
     insert into hark.running_jobs (${runningColumns})
     ${runningRowsFrom("gone")})
   select id, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key from gone
   union all
   select null, 'not plain', null, null, null, null, null, null where not (select are_plain from found)`,
  (row) => row,
);

/**
 * Settles and claims with one commit, where both are due: 1.3 times the throughput of two (storage.md, section 3). It names what it
 * settled only where that is not all.
 */
export const settleAndClaimReadyJobs = statement<ClaimParameters & Completions, RawRow>(
  "settle-and-claim-jobs",
  [...parameters, "ids", "tokens", "results"],
  `with ${settledCtes(8)}, ${claimedCtes} ${claimedRows}
   union all
   select null, 'settled', to_jsonb(array(select id::text from settled)), null, null, null, null, null
    where (select count(*) from settled) < cardinality($8::bigint[])`,
  (row) => row,
);

/** The lowest priority there is: an integer's. */
const anyPriority = -2_147_483_648;

/** Claims ready jobs of a queue, under one new token. With `completions` it settles those jobs in the same commit. */
export async function claimJobs(
  db: Parameters<typeof claimReadyJobs>[0],
  { after, mayDefer = false, ...request }: ClaimRequest,
  completions?: Completions,
): Promise<ClaimAnswer> {
  const claim = { ...request, leastPriority: after?.priority ?? anyPriority, afterId: after?.id ?? 0n };
  if (mayDefer && !completions) {
    const plain = await claimPlainJobs(db, claim);
    if (plain[0]?.id !== null)
      // else it is the row that says "not plain"
      return { jobs: inOrder(plain, request), blockedKeys: [], refused: new Set(), isDeferred: true };
  }
  const rows = completions
    ? await settleAndClaimReadyJobs(db, { ...claim, ...completions })
    : await claimReadyJobs(db, claim);

  const jobs: RawRow[] = [];
  const blockedKeys: string[] = [];
  let refused: ReadonlySet<bigint> = new Set();
  for (const row of rows) {
    if (row.id !== null) jobs.push(row);
    else if (row.type === "settled") refused = refusedOf(completions!, row.payload as string[]);
    else blockedKeys.push(row.key as string);
  }
  return { jobs: inOrder(jobs, request), blockedKeys, refused, isDeferred: false };
}

/** The most urgent first: the database answers in the order in which it deleted them, or by keys. */
function inOrder(rows: readonly RawRow[], request: Pick<ClaimRequest, "queue" | "token">): ClaimedJob[] {
  const jobs = rows.map((row) => claimedJob(row, request));
  return jobs.toSorted((one, other) => other.priority - one.priority || (one.id < other.id ? -1 : 1));
}

function refusedOf({ ids }: Completions, settled: readonly string[]): ReadonlySet<bigint> {
  const moved = new Set(settled);
  const asked = ids.slice(1, -1).split(","); // of an array literal
  return new Set(asked.filter((id) => !moved.has(id)).map(BigInt));
}

function claimedJob(row: RawRow, { queue, token }: Pick<ClaimRequest, "queue" | "token">): ClaimedJob {
  return {
    id: asId(row.id),
    queue,
    type: row.type as string,
    payload: row.payload,
    priority: row.priority as number,
    attempt: row.attempt as number,
    maxAttempts: row.max_attempts as number,
    crashCount: row.crash_count as number,
    key: (row.key as string | null) ?? undefined,
    token,
  };
}
