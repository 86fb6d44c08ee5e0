import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { TypedEvent } from "../runtime/event.ts";
import { Loop } from "../runtime/loop.ts";

/** How often to fold, in ms. Few deltas pile up in that time, and the load is small. */
const intervalMs = 60_000;

/**
 * Intervals from one fold to the next while this worker settles nothing: others may leave deltas,
 * such as a cancellation.
 */
const quietIntervals = 10;

/** Deltas folded in one statement. A worker that settles single jobs leaves more in a minute. */
const batchSize = 10_000;

/**
 * Folds the deltas of finished jobs into the totals. `moved` tells of outcomes that were written.
 */
export function statistics(parts: { db: Database; moved: Pick<TypedEvent<number>, "on">; logger: Logger }): Loop {
  const { db, moved, logger } = parts;
  /** Intervals that pass without a fold. */
  let skips = 0;
  moved.on(() => (skips = 0));
  return new Loop({
    name: "statistics",
    restMs: intervalMs,
    logger,
    async step() {
      if (skips > 0) {
        skips -= 1;
        return "rest";
      }
      const [{ folded } = { folded: 0 }] = await statements.foldStats(db, { limit: batchSize });
      if (folded === batchSize) return "again";
      skips = quietIntervals - 1;
      return "rest";
    },
  });
}
