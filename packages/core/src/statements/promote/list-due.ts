import { asId, statement } from "../statement.ts";
import type { PromotionRequest } from "./promote-jobs.ts";

/**
 * Up to `limit` due jobs in the order in which they are promoted: for a promoter that has to go row
 * by row.
 */
export const listDue = statement<Omit<PromotionRequest, "ids">, { id: bigint }>(
  "list-due",
  ["limit", "afterMs", "except"],
  `select id from hark.jobs
    where state = 'scheduled' and run_at >= to_timestamp($2::float8 / 1000) and run_at <= statement_timestamp()
      and id not in (select unnest($3::bigint[]))
    order by run_at limit $1`,
  (row) => ({ id: asId(row.id) }),
);
