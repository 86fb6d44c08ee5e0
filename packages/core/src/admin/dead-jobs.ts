import { checkOptions } from "../check-options.ts";
import type { Queryable } from "../database.ts";
import { quote } from "../errors/hark-error.ts";
import { InvalidOptionsError } from "../errors/index.ts";
import type { DeadReason } from "../outcome.ts";
import { shownPayload } from "../payload-cipher.ts";
import { asId } from "../statements/statement.ts";
import { asJsonRows, shownRow } from "./shown-rows.ts";

/** A dead letter. */
export interface DeadJob {
  id: bigint;
  queue: string;
  type: string;
  payload: unknown;
  priority: number;
  attempt: number;
  maxAttempts: number;
  crashCount: number;
  key: string | null;
  uniqueKey: string | null;
  runAt: Date;
  createdAt: Date;
  reason: DeadReason;
  error: string;
  startedAt: Date;
  finishedAt: Date;
}

/** Without the payload. */
const columns = `id::text, queue, type, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, reason, error,
                 started_at, finished_at`;

/**
 * Most bytes of the payloads of one list, as JSON. At most 200 payloads of 256 KiB would be 50 MiB
 * for each caller that asks.
 */
const listedBytes = 4_194_304;

/** Beyond it, of a payload's members ten are shown, if they are short: a URL is. */
const payloadsInBounds = `
  case when sum(octet_length(payload::text)) over (order by finished_at, dead_jobs.id) <= ${listedBytes} then payload
       when jsonb_typeof(payload) <> 'object' then to_jsonb(format('[%s bytes: too large for this list]', octet_length(payload::text)))
       else (select jsonb_object_agg(name, case when octet_length(member::text) <= 1100 then member
                     else to_jsonb(format('[%s bytes: too large for this list]', octet_length(member::text))) end)
               from (select name, member from jsonb_each(payload) members (name, member)
                      where octet_length(name) <= 100 limit 10) shown_members)
  end as payload`;

/**
 * Returns the oldest dead letters first, at most `limit` (1 to 200), so that an index into the list
 * keeps its meaning. With `withPayload: false` their payloads are not read, and null: for callers
 * that may not see them. Sealed ones are shown as "[encrypted]". Of payloads beyond 4 MiB of JSON
 * in all, long members are replaced by a text that says how large they are: getJob() has them.
 */
export async function listDeadJobs(
  db: Queryable,
  options: { limit?: number; type?: string; withPayload?: boolean } = {},
): Promise<DeadJob[]> {
  checkOptions("listDeadJobs", options, { limit: "any", type: "text", withPayload: "flag" });
  const { limit = 100, type, withPayload = true } = options;
  if (!Number.isInteger(limit) || limit < 1 || limit > 200) {
    throw new InvalidOptionsError("listDeadJobs", [
      { path: ["limit"], message: `must be an integer from 1 to 200, not ${quote(limit)}` },
    ]);
  }
  // By time, then id: a place in the list means the same job until one before it leaves.
  const { rows } = await db.query({
    text: asJsonRows(
      `select ${columns}, ${withPayload ? payloadsInBounds : "null as payload"} from hark.dead_jobs
        where dead_jobs.id = any (array(
          select dead_jobs.id from hark.dead_jobs ${type === undefined ? "" : "where type = $2"}
           order by finished_at, dead_jobs.id limit $1))
        order by finished_at, dead_jobs.id`,
    ),
    values: type === undefined ? [limit] : [limit, type],
  });
  return rows.map((row) => {
    const job = shownRow(row) as DeadJob;
    return Object.assign(job, { payload: shownPayload(job.payload) });
  });
}

/** Returns the id of the dead letter at a place in that list, from 0; undefined beyond its end. */
export async function deadJobIdAt(db: Queryable, index: number): Promise<bigint | undefined> {
  const text = `select id::text from hark.dead_jobs order by finished_at, dead_jobs.id limit 1 offset $1`;
  const { rows } = await db.query({ text, values: [index] });
  return rows.map(({ id }) => asId(id))[0];
}

/**
 * Returns the ids of up to `limit` dead letters with a higher id than `after`, in the order of ids,
 * that is of enqueueing. Called with the last id returned until none comes, it meets each dead
 * letter once, whatever is requeued or dies meanwhile.
 */
export async function deadJobIdsAfter(
  db: Queryable,
  { after, limit, type }: { after: bigint; limit: number; type?: string | undefined },
): Promise<bigint[]> {
  const { rows } = await db.query({
    text: `select id::text from hark.dead_jobs where id > $1 ${type === undefined ? "" : "and type = $3"}
            order by dead_jobs.id limit $2`,
    values: type === undefined ? [after, limit] : [after, limit, type],
  });
  return rows.map(({ id }) => asId(id));
}
