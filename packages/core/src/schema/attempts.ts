import { sql } from "drizzle-orm";
import { index } from "drizzle-orm/pg-core";
import { attemptsColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * The ledger of every ending other than a clean first success: append only, in partitions by day.
 */
export const attempts = hark.table("attempts", attemptsColumns(), (attempt) => [
  index("attempts_job_id")
    .using("brin", sql`${attempt.jobId} int8_minmax_multi_ops`)
    .with({ pages_per_range: 16, autosummarize: true }),
]);
