import { type Statement, statement } from "../statement.ts";
import { claimContendedJobs } from "./claim-contended-jobs.ts";
import { claimPlainJobs } from "./claim-plain-jobs.ts";
import type { ClaimParameters, ClaimRow } from "./claim-request.ts";
import { readyOfType } from "./ready-of-type.ts";

/** As {@link ClaimParameters}, with the place to start from for each type. */
export interface ParametersByType extends Omit<ClaimParameters, "leastPriority" | "afterId"> {
  readonly leastPriorities: readonly number[];
  readonly afterIds: readonly bigint[];
  /** Only jobs with at most this priority. */
  readonly mostPriority: number;
}

/** $1 to $8. No type may stand in $5 twice: its jobs would be claimed twice. */
const parametersByType = [
  "queue",
  "limit",
  "worker",
  "token",
  "types",
  "leastPriorities",
  "afterIds",
  "mostPriority",
] as const;

const startingFrom = (from: string): string =>
  `${readyOfType(`${from}.type`, "$1")} and priority between ${from}.least and $8 and id > ${from}.after`;

/** The scan of the queue in a claim: the columns that it takes, and one more condition. */
const scanOfQueue =
  /next as materialized \(\s+select (.+?) from hark\.jobs\s+where queue = \$1 and state = 'ready' and type = any \(\$5::text\[\]\) and exists \(select from alive\)\s+and priority >= \$6 and id > \$7\s(.*?)order by priority desc, id limit \$2\s+for update skip locked\)/s;

/**
 * The statement of a claim, with another scan. The scan of the queue steps over each job in front
 * whose type the worker does not run. This one looks at the most urgent job of each type, and takes
 * the types in this order. So its cost does not grow with what the worker may not take, but with
 * the number of its types.
 *
 * - It takes nothing below the priority of the second type's most urgent job. Then no job is taken
 *   while a more urgent one of another type is ready. Jobs of one priority are in the order of
 *   their age within each type only.
 * - Rows are locked as they are read, and the outer limit ends the scan. So none is locked that is
 *   not taken.
 * - If others hold all of those rows, it takes nothing though more may be ready: see
 *   {@link urgencyByType}.
 */
function byType(claim: Statement<ClaimParameters, ClaimRow>): Statement<ParametersByType, ClaimRow> {
  let isFound = false;
  const text = claim.text.replace(scanOfQueue, (_, columns: string, condition: string) => {
    isFound = true;
    return `heads as materialized (
     select wanted.type, wanted.least, wanted.after, head.priority
       from unnest($5::text[], $6::integer[], $7::bigint[]) wanted (type, least, after), lateral (
         select priority, id from hark.jobs
          where ${startingFrom("wanted")}
            ${condition}
          order by priority desc, id limit 1) head
      where exists (select from alive)
      order by head.priority desc, head.id),
   second as materialized (select priority from heads order by priority desc offset 1 limit 1),
   next as materialized (
     select job.* from heads, lateral (
       select ${columns} from hark.jobs
        where ${startingFrom("heads")}
          and priority >= coalesce((select priority from second), heads.least)
          ${condition}
        order by priority desc, id limit $2
          for update skip locked) job
      limit $2)`;
  });
  if (!isFound) throw new Error(`The statement ${claim.statementName} does not scan the queue as others do.`);
  return statement(`${claim.statementName}-by-type`, parametersByType, text, (row) => row as ClaimRow);
}

export const claimContendedJobsByType = byType(claimContendedJobs);
export const claimPlainJobsByType = byType(claimPlainJobs);

/**
 * The types with ready jobs that no running key blocks, with the priority of the most urgent, that
 * one first. A claim by types that found nothing has looked at all of them down to the priority of
 * the second.
 */
export const urgencyByType = statement<Omit<ParametersByType, "limit" | "worker" | "token">, { priority: number }>(
  "urgency-by-type",
  ["queue", "types", "leastPriorities", "afterIds", "mostPriority"],
  `select head.priority
     from unnest($2::text[], $3::integer[], $4::bigint[]) wanted (type, least, after), lateral (
       select priority, id from hark.jobs
        where ${startingFrom("wanted").replace("$8", "$5")}
          and (key is null or (
            select true from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key limit 1) is null)
        order by priority desc, id limit 1) head
    order by head.priority desc, head.id`,
  (row) => ({ priority: row.priority as number }),
);
