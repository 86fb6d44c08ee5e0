import type { Queryable } from "../../database.ts";
import type { ClaimRow } from "../claim/claim-request.ts";
import { type ClaimedJob, claimedJobOf } from "../claim/claim.ts";
import { asId, statement } from "../statement.ts";
import type { Completions } from "./complete-jobs.ts";

/** Whose claims the next jobs are, as in a claim's request. */
export interface NextRequest {
  readonly worker: string;
  readonly token: string;
  readonly types: readonly string[];
}

type NextRow =
  | ({ readonly queue: string } & Extract<ClaimRow, { kind: "job" }>)
  | { readonly kind: "settled"; readonly id: unknown };

/**
 * Settles jobs that succeeded as {@link completeJobs} does, word for word, and claims the next job
 * of each of their keys with the same commit. A key that many jobs wait for costs one commit a job
 * then, and not one to settle and one to claim.
 *
 * - The next of a key is the most urgent of those parked. It is left to the claims, and becomes
 *   ready, if the queue has a ready job before it in the order of claims or it is of another type
 *   than these. All that do so become ready in one update: a call of hark.hand_off for each took
 *   140 us, since each of its updates fires the trigger that announces jobs.
 * - The trigger of running_jobs finds the key running again, or the job that this made ready, and
 *   hands nothing off. It does where this found nothing, under a newer snapshot.
 * - What it claims may hand off, since the snapshot need not show all that are parked.
 * - No other claim of the key can come between: the settled job's row held it until this commit.
 */
export const completeAndClaimNextRows = statement<Completions & NextRequest, NextRow>(
  "complete-and-claim-next",
  ["ids", "tokens", "results", "worker", "token", "types"],
  `with settled as (
     delete from hark.running_jobs
      where id = any ($1::bigint[]) and token = ($2::uuid[])[width_bucket(id, $1::bigint[])]
     returning id, attempt, priority, max_attempts, crash_count, run_at, created_at, started_at, worker, token, hands_off,
               queue, type, payload, key, unique_key),
   finished as (
     insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                     run_at, created_at, state, result, started_at, finished_at, worker)
     select id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
            run_at, created_at, 'completed', case when $3::jsonb is not null then $3::jsonb -> id::text end,
            started_at, clock_timestamp(), worker from settled),
   ledger as (
     insert into hark.attempts (job_id, queue, type, attempt, ending, worker, token, started_at, finished_at)
     select id, queue, type, attempt, 'completed', worker, token, started_at, clock_timestamp()
       from settled where attempt > 1),
   counted as (insert into hark.stats (queue, completed) select queue, count(*) from settled group by queue),
   alive as materialized (
     select id from hark.workers
      where id = $4 and dead_at is null and expires_at > clock_timestamp() for key share),
   heads as materialized (
     select of.queue, head.priority, head.id from (select distinct queue from settled where hands_off) of, lateral (
       select priority, id from hark.jobs where jobs.queue = of.queue and state = 'ready' order by priority desc, id limit 1) head),
   next as materialized (
     select first.id, exists (select from alive) and first.type = any ($6::text[]) and coalesce((
         select first.priority > head.priority or (first.priority = head.priority and first.id < head.id)
           from heads head where head.queue = settled.queue), true) as is_claimed
       from settled, lateral (
         select id, type, priority from hark.jobs parked
          where parked.queue = settled.queue and parked.key = settled.key and parked.state = 'parked'
          order by priority desc, id limit 1 for update skip locked) first
      where settled.hands_off),
   handed as (
     update hark.jobs set state = 'ready', run_at = clock_timestamp()
      where id = any (array(select id from next where not is_claimed))),
   gone as (delete from hark.jobs where id = any (array(select id from next where is_claimed)) returning *),
   moved as (
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                    run_at, created_at, started_at, worker, token, hands_off)
     select id, queue, type, payload, priority, attempt + 1, max_attempts, crash_count, key, unique_key,
            run_at, created_at, clock_timestamp(), $4, $5::uuid, true
       from gone)
   select 'job' as kind, id, queue, type, payload, priority, attempt + 1 as attempt, max_attempts, crash_count, key, true as hands_off
     from gone
   union all
   select 'settled', id, null, null, null, null, null, null, null, null, null from settled`,
  (row) => row as NextRow,
);

/**
 * Settles jobs and claims the next of their keys. Returns the ids it settled, and what it claimed.
 */
export async function completeAndClaimNext(
  db: Queryable,
  request: Completions & NextRequest,
): Promise<{ settled: { id: bigint }[]; claimed: ClaimedJob[] }> {
  const settled: { id: bigint }[] = [];
  const claimed: ClaimedJob[] = [];
  for (const row of await completeAndClaimNextRows(db, request)) {
    if (row.kind === "settled") settled.push({ id: asId(row.id) });
    else claimed.push(claimedJobOf(row, { queue: row.queue, token: request.token }));
  }
  return { settled, claimed };
}
