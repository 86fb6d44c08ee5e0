import type { Queryable } from "../../database.ts";
import { statement } from "../statement.ts";

export interface ProbeRequest {
  readonly queues: readonly string[];
  /** Job types that the asking worker runs. */
  readonly types: readonly string[];
  /** Whether to tell when the next scheduled job is due. */
  readonly asksDue: boolean;
}

export interface Probe {
  /** Those of the queues that have ready jobs of the types. */
  readonly ready: readonly string[];
  /**
   * Until the earliest scheduled job of any queue is due, in ms by the database's clock; negative
   * if it is due already. Undefined if there is none, or it was not asked for.
   */
  readonly nextDueInMs: number | undefined;
}

/**
 * What a worker that has nothing to do asks, in one statement for all of its queues. It takes no
 * lock and no transaction id, and unlike a claim it sees the jobs that another transaction holds
 * locked: those of a claim that is not committed may come back. So it says yes at least wherever a
 * claim would find something; keep it so when the claim's filter changes, and keep out of it what
 * no claim takes, or idle workers look for that without end.
 *
 * It looks at 1,000 ready jobs of a queue. Only if there are as many, none of them of these types,
 * it looks for each type by itself, whatever stands in front: see {@link claimContendedJobsByType}.
 * Why two conditions that always hold: see {@link surveyHead}.
 */
export const probeJobs = statement<ProbeRequest, Probe>(
  "probe-jobs",
  ["queues", "types", "asksDue"],
  `select array(
            select queue from unnest($1::text[]) asked (queue)
             where exists (
                     select from (
                       select type from hark.jobs
                        where jobs.queue = asked.queue and state = 'ready'
                          and priority >= (select -2147483648) and id > (select 0) limit 1000) head
                      where type = any ($2::text[]))
                or exists (
                     select from hark.jobs
                      where jobs.queue = asked.queue and state = 'ready'
                        and priority >= (select -2147483648) and id > (select 0) offset 999)
                   and exists (
                     select from unnest($2::text[]) wanted (type), lateral (
                       select from hark.jobs
                        where hashtext(jobs.type || jobs.queue) = hashtext(wanted.type || asked.queue)
                          and jobs.type collate "C" = wanted.type and jobs.queue collate "C" = asked.queue
                          and state = 'ready' limit 1) of_type)) as ready,
          extract(epoch from due.run_at - clock_timestamp())::float8 * 1000 as next_due_in_ms
     from (values (1)) one left join lateral (
       select run_at from hark.jobs where $3 and state = 'scheduled' order by run_at limit 1) due on true`,
  (row) => ({
    ready: row.ready as string[],
    nextDueInMs: row.next_due_in_ms === null ? undefined : Number(row.next_due_in_ms),
  }),
);

/** Which of the queues have ready jobs of these types, locked ones too. */
export async function queuesWithReadyJobs(
  db: Queryable,
  request: Pick<ProbeRequest, "queues" | "types">,
): Promise<readonly string[]> {
  return (await probeJobs(db, { ...request, asksDue: false }))[0]!.ready;
}
