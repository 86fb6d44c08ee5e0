import { sql } from "drizzle-orm";
import { bigint, check, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

/**
 * Locks of application code, one row per held key; an expired row is taken over in place under a
 * higher fence.
 */
export const locks = hark.table(
  "locks",
  {
    key: text().primaryKey(),
    token: uuid().notNull(),
    /**
     * The WAL timeline in the high bits and a sequence number in the low 40: it only ever grows,
     * also over a failover.
     */
    fence: bigint({ mode: "bigint" }).notNull(),
    owner: text().notNull(),
    acquiredAt: timestamp("acquired_at", { withTimezone: true }).notNull(),
    expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  },
  () => [check("locks_key_length", sql`octet_length(key) between 1 and 1024`)],
);
