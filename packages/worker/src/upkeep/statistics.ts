import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to fold, in ms. Few deltas pile up in that time, and the load is small. */
const intervalMs = 60_000;

/** Deltas folded in one statement. A worker that settles single jobs leaves more in a minute. */
const batchSize = 10_000;

/** Folds the deltas of finished jobs into the totals. */
export function statistics({ db, logger }: { db: Database; logger: Logger }): Loop {
  return new Loop({
    name: "statistics",
    restMs: intervalMs,
    logger,
    async step() {
      const [{ folded } = { folded: 0 }] = await statements.foldStats(db, { limit: batchSize });
      return folded === batchSize ? "again" : "rest";
    },
  });
}
