import { asId, statement } from "../statement.ts";
import type { Claim } from "./complete-jobs.ts";

/**
 * Which of these claims ended because their job was cancelled while it ran, within the last day.
 * The ledger names the token, so a later claim of the same job does not count. A day bounds how
 * many partitions are read, and no worker holds a claim for so long after its end.
 */
export const cancelledClaims = statement<{ ids: readonly bigint[]; tokens: readonly string[] }, Claim>(
  "cancelled-claims",
  ["ids", "tokens"],
  `select job_id, token from hark.attempts
    where job_id = any ($1::bigint[]) and token = any ($2::uuid[]) and ending = 'cancelled'
      and finished_at > statement_timestamp() - interval '1 day'`,
  (row) => ({ id: asId(row.job_id), token: row.token as string }),
);
