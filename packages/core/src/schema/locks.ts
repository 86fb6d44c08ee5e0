import { sql } from "drizzle-orm";
import { check } from "drizzle-orm/pg-core";
import { locksColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Locks of application code, one row per held key; an expired row is taken over in place under a
 * higher fence.
 */
export const locks = hark.table("locks", locksColumns(), () => [
  check("locks_key_length", sql`octet_length(key) between 1 and 1024`),
]);
