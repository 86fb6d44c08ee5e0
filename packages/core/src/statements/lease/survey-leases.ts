import type { Claim } from "../settle/complete-jobs.ts";
import { statement } from "../statement.ts";

export interface Survey {
  /**
   * When the next lease of another worker runs out unless it is renewed, in ms by the database's
   * clock.
   */
  readonly nextExpiryMs: number | undefined;
  /**
   * Some running job's owner is certified dead, or unknown; not counting those that were asked to
   * be left out.
   */
  readonly hasOrphans: boolean;
  /** The claims that the asking worker holds, as the database sees it. */
  readonly mine: readonly (Claim & { readonly attempt: number })[];
}

export interface SurveyRequest {
  /** The asking worker. */
  readonly worker: string;
  /** Orphans to leave out, since no table takes them. */
  readonly except?: readonly bigint[] | undefined;
}

/**
 * All that a rescuer needs to know whether there is anything to do, in one statement, since it asks
 * while all is well, and in one look at what runs: a busy queue leaves many dead rows there.
 */
export const surveyLeases = statement<SurveyRequest, Survey>(
  "survey-leases",
  ["worker", "except"],
  `select (select extract(epoch from min(expires_at) - clock_timestamp())::float8 * 1000
             from hark.workers where dead_at is null and id <> $1) as next_expiry_ms,
          coalesce(bool_or(is_orphaned), false) as has_orphans,
          json_agg(json_build_array(id::text, token, attempt)) filter (where worker = $1) as mine
     from (select id, worker, token, attempt,
                  not exists (select from hark.workers where workers.id = job.worker and dead_at is null) and id not in (select unnest($2::bigint[])) as is_orphaned
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
