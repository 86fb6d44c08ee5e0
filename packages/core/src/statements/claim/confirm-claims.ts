import type { Claim } from "../settle/complete-jobs.ts";
import { asId, statement } from "../statement.ts";

export interface ConfirmedClaim extends Claim {
  /**
   * False: the job waits again, or is another's, as if it had never been claimed under this token.
   */
  readonly isHeld: boolean;
}

/**
 * What became of claims whose flush was deferred, and the flush itself: the worker's row is locked,
 * which a log of writes has to have, so that this commit waits for the disk, and with it for
 * everything before. Once it is answered, no crash undoes the claims that are held. A job that was
 * settled or cancelled meanwhile is not in the answer, and none is if the worker has no
 * registration any more.
 */
export const confirmClaims = statement<
  { ids: readonly bigint[]; tokens: readonly string[]; worker: string },
  ConfirmedClaim
>(
  "confirm-claims",
  ["ids", "tokens", "worker"],
  `with registered as materialized (select id from hark.workers where id = $3 for key share),
   asked as materialized (
     select id, token from unnest($1::bigint[], $2::uuid[]) asked (id, token) where exists (select from registered))
   select asked.id, asked.token, job.token = asked.token as is_held
     from asked join hark.running_jobs job on job.id = asked.id
   union all
   select asked.id, asked.token, false from asked join hark.jobs job on job.id = asked.id`,
  (row) => ({ id: asId(row.id), token: row.token as string, isHeld: row.is_held as boolean }),
);
