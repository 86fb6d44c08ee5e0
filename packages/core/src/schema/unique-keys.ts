import { bigint, primaryKey, text } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

/**
 * One row per unfinished job that has a unique key. A job moves between tables while it is
 * unfinished, so the rule "one unfinished job per unique key" needs an index that it never leaves
 * on the way.
 */
export const uniqueKeys = hark.table(
  "unique_keys",
  {
    queue: text().notNull(),
    uniqueKey: text("unique_key").notNull(),
    jobId: bigint("job_id", { mode: "bigint" }).notNull(),
  },
  (held) => [primaryKey({ columns: [held.queue, held.uniqueKey] })],
);
