import type { Claim } from "../settle/complete-jobs.ts";
import { asId, statement } from "../statement.ts";

/**
 * Which of these claims still hold; the others were cancelled, settled or taken over. By what the
 * tables say: see SEC-06.
 */
export const heldClaims = statement<{ ids: readonly bigint[]; tokens: readonly string[] }, Claim>(
  "held-claims",
  ["ids", "tokens"],
  `select job.id, job.token from hark.running_jobs job
    where job.id = any ($1::bigint[]) and job.token = any ($2::uuid[])`,
  (row) => ({ id: asId(row.id), token: row.token as string }),
);
