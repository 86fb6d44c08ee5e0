import { type Database, type Logger, statements } from "@hark/core";
import { Loop } from "../runtime/loop.ts";

/** Often enough that few deltas pile up, seldom enough to be no load, in ms. */
const intervalMs = 60_000;

/**
 * Deltas folded in one statement. A worker that settles single jobs leaves more than that in a
 * minute.
 */
const batchSize = 10_000;

/** Folds the deltas of finished jobs, and frees parked jobs that no hand-off saw. */
export function statisticsUpkeep({ db, logger }: { db: Database; logger: Logger }): Loop {
  return new Loop({
    name: "statistics",
    restMs: intervalMs,
    logger,
    async step() {
      const [{ folded } = { folded: 0 }] = await statements.foldStats(db, { limit: batchSize });
      const [{ unparked } = { unparked: 0 }] = await statements.unparkJobs(db, { limit: 1_000 });
      if (unparked > 0) logger.warn({ unparked }, "freed parked jobs that no hand-off had seen");
      return folded === batchSize ? "again" : "rest";
    },
  });
}
