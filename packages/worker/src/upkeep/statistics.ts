import { type Database, type Logger, statements } from "@hark/core";
import { Loop } from "../runtime/loop.ts";

/** Often enough that few deltas pile up, seldom enough to be no load, in ms. */
const intervalMs = 60_000;

/** Folds the deltas of finished jobs, and frees parked jobs that no hand-off saw. */
export function statisticsUpkeep({ db, logger }: { db: Database; logger: Logger }): Loop {
  return new Loop({
    name: "statistics",
    restMs: intervalMs,
    logger,
    async step() {
      await statements.foldStats(db, {});
      const [{ unparked } = { unparked: 0 }] = await statements.unparkJobs(db, { limit: 1_000 });
      if (unparked > 0) logger.warn({ unparked }, "freed parked jobs that no hand-off had seen");
      return "rest";
    },
  });
}
