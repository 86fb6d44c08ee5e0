import { statement } from "../statement.ts";

export interface DroppedHistory {
  /** Partitions: at most one a call, since its lock lasts as long as the call. */
  readonly dropped: number;
  /** Rows that had found no partition of their day; some at a time. */
  readonly deleted: number;
  /** Partitions that somebody reads or writes: they go another time. */
  readonly waiting: number;
}

/**
 * Drops some of the history older than `keepDays`. To be called until it answers that nothing went.
 */
export const dropPartitions = statement<{ keepDays: number }, DroppedHistory>(
  "drop-partitions",
  ["keepDays"],
  `select dropped, deleted, waiting from hark.drop_partitions($1)`,
  (row) => ({ dropped: row.dropped as number, deleted: row.deleted as number, waiting: row.waiting as number }),
);
