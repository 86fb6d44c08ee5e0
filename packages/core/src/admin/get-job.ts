import { checkOptions } from "../check-options.ts";
import type { Queryable } from "../database.ts";
import type { Ending } from "../outcome.ts";
import { shownPayload } from "../payload-cipher.ts";
import { type RawRow, statement } from "../statements/statement.ts";
import { checkId } from "./check-id.ts";
import { shownFields } from "./shown-rows.ts";

export interface JobDetails {
  id: bigint;
  state: "scheduled" | "ready" | "parked" | "running" | "completed" | "cancelled" | "dead";
  queue: string;
  type: string;
  /** "[encrypted]" if it is sealed. */
  payload: unknown;
  priority: number;
  attempt: number;
  maxAttempts: number;
  crashCount: number;
  key: string | null;
  uniqueKey: string | null;
  runAt: Date;
  createdAt: Date;
  startedAt?: Date | null;
  finishedAt?: Date;
  result?: unknown;
  reason?: string;
  error?: string;
  /** Endings other than a clean first success, oldest first. */
  attempts: JobAttempt[];
}

/** An attempt that was no clean first success. */
export interface JobAttempt {
  jobId: bigint;
  queue: string;
  type: string;
  attempt: number;
  ending: Ending["kind"];
  error: string | null;
  worker: string | null;
  token: string | null;
  startedAt: Date | null;
  finishedAt: Date;
  /** When the job may run again. Null if this was its end. */
  retryAt: Date | null;
}

/**
 * One statement, so one snapshot, which its functions share: a job that moves between two look-ups
 * would be in neither table. Without the payload, it also reads no result and no token, and so only
 * what hark_reader may read. What history costs is bounded by the functions: a query over all its
 * days plans each of them, which takes 1.5 s for 1,500.
 */
const findJobStatement = (name: string, { withPayload }: { withPayload: boolean }) => {
  const payload = withPayload ? "payload" : "null::jsonb as payload";
  const common = `id::text, queue, type, ${payload}, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at`;
  return statement<{ id: bigint }, JobDetails>(
    name,
    ["id"],
    `with unfinished as (
     select ${common}, state,
            null::timestamptz as started_at, null::timestamptz as finished_at, null::jsonb as result, null as reason, null as error
       from hark.jobs where id = $1
     union all
     select ${common}, 'running', started_at, null, null, null, null
       from hark.running_jobs where id = $1
     union all
     select ${common}, 'dead', started_at, finished_at, null, reason, error
       from hark.dead_jobs where id = $1),
   found as materialized (
     select row_to_json(unfinished) as job from unfinished
     union all
     select hark.finished_job($1, ${withPayload}) where not exists (select from unfinished))
   select job::text as job, hark.attempts_of($1, (job ->> 'created_at')::timestamptz, (job ->> 'finished_at')::timestamptz, ${withPayload})::text as attempts
     from found where job is not null`,
    detailsOf,
  );
};

const findJob = findJobStatement("find-job", { withPayload: true });
const findJobWithoutPayload = findJobStatement("find-job-without-payload", { withPayload: false });

/**
 * Returns one job wherever it stands, with its ledger; undefined if it never existed or was pruned.
 * With `withPayload: false` its payload, its result and the tokens of its attempts are not read,
 * and null: for callers that may not see them, such as a login in hark_reader.
 */
export async function getJob(
  db: Queryable,
  id: bigint,
  options: { withPayload?: boolean } = {},
): Promise<JobDetails | undefined> {
  checkOptions("getJob", options, { withPayload: "flag" });
  const { withPayload = true } = options;
  return (await (withPayload ? findJob : findJobWithoutPayload)(db, { id: checkId("getJob", id) }))[0];
}

/** Without the fields that the job's state does not have. */
function detailsOf({ job: fields, attempts }: RawRow): JobDetails {
  const { started_at, finished_at, result, reason, error, ...row } = JSON.parse(fields as string) as RawRow;
  const isWaiting = started_at == null && finished_at == null;
  const job = shownFields({
    ...row,
    ...(!isWaiting && { started_at }),
    ...(finished_at != null && (reason == null ? { finished_at, result } : { finished_at, reason, error })),
  }) as JobDetails;
  return Object.assign(job, {
    payload: shownPayload(job.payload),
    attempts: (JSON.parse(attempts as string) as RawRow[]).map(shownFields) as JobDetails["attempts"],
  });
}
