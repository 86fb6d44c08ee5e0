import { rowLocksColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Rows that Hark's functions lock while only one of them may do a thing: grant a lock, make
 * partitions. Any login could hold an advisory lock instead; of this table only the schema's owner
 * may lock rows. See hark.lock_row.
 */
export const rowLocks = hark.table("row_locks", rowLocksColumns());
