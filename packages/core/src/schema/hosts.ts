import { text, timestamp } from "drizzle-orm/pg-core";
import { hark } from "./hark-schema.ts";

/**
 * Hosts that jobs take turns at, one row each, written by hark.take_turn. A host without a row is
 * free.
 */
export const hosts = hark.table("hosts", {
  host: text().primaryKey(),
  /** The earliest moment of the next turn. */
  freeAt: timestamp("free_at", { withTimezone: true }).notNull(),
  /**
   * By priority from 0 to 10, counted from 1: when the line of jobs of that priority ends that were
   * told to come back. Null for an empty line.
   */
  lines: timestamp({ withTimezone: true }).array().notNull(),
});
