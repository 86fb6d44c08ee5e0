import { primaryKey } from "drizzle-orm/pg-core";
import { uniqueKeysColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * One row per unfinished job that has a unique key. A job moves between tables while it is
 * unfinished, so the rule "one unfinished job per unique key" needs an index that it never leaves
 * on the way.
 */
export const uniqueKeys = hark.table("unique_keys", uniqueKeysColumns(), (held) => [
  primaryKey({ columns: [held.queue, held.uniqueKey] }),
]);
