import { statement } from "../statement.ts";

/**
 * How many ready jobs wait in a queue, counted no further than `upTo`: what it costs is bounded by
 * the limit, not by the queue.
 */
export const queueDepth = statement<{ queue: string; upTo: number }, { depth: number }>(
  "queue-depth",
  ["queue", "upTo"],
  `select hark.queue_depth($1, $2) as depth`,
  (row) => ({ depth: row.depth as number }),
);
