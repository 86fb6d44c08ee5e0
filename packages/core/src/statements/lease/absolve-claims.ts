import { statement } from "../statement.ts";

/**
 * Takes back what a rescue has held against the jobs of these claims: their worker was declared
 * dead, and lives. Only the process that claimed them knows their tokens, so its word is enough.
 * Returns how many claims had a crash in the ledger. See hark.absolve_claims.
 */
export const absolveClaims = statement<{ ids: readonly bigint[]; tokens: readonly string[] }, { absolved: number }>(
  "absolve-claims",
  ["ids", "tokens"],
  `select hark.absolve_claims($1::bigint[], $2::uuid[]) as absolved`,
  (row) => ({ absolved: row.absolved as number }),
);
