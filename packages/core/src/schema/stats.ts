import { sql } from "drizzle-orm";
import { bigint, text } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

// `default(0n)` stops drizzle-kit 0.31, which cannot write a bigint as JSON.
const counter = (name: string) =>
  bigint(name, { mode: "bigint" })
    .notNull()
    .default(sql`0`);

/**
 * What became of jobs, as rows to be summed: every settled batch appends a delta, and upkeep folds
 * old rows into one per queue. No row is updated by a settle, so batches never wait for each other
 * here.
 */
export const stats = hark.table("stats", {
  queue: text().notNull(),
  completed: counter("completed"),
  cancelled: counter("cancelled"),
  /** Falls when a dead letter is requeued, so the sum is how many there are. */
  dead: counter("dead"),
});
