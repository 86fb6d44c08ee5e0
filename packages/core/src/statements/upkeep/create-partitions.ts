import { statement } from "../statement.ts";

/**
 * Makes the history's partitions of today and the days after it that are missing; returns how many.
 */
export const createPartitions = statement<{ daysAhead: number }, { created: number }>(
  "create-partitions",
  ["daysAhead"],
  `select hark.create_partitions($1) as created`,
  (row) => ({ created: row.created as number }),
);
