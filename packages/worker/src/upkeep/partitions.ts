import { type Database, type Logger, statements } from "@hark/core";
import { Loop } from "../runtime/loop.ts";

/** Days for which partitions stand ready: a week without any worker costs nothing. */
const daysAhead = 7;

const hourMs = 3_600_000;

/** Makes tomorrow's partitions of the history and drops those older than `keepDays`, every hour. */
export function partitionUpkeep({ db, keepDays, logger }: { db: Database; keepDays: number; logger: Logger }): Loop {
  return new Loop({
    name: "partitions",
    restMs: hourMs,
    logger,
    async step() {
      await statements.createPartitions(db, { daysAhead });
      const [{ dropped } = { dropped: 0 }] = await statements.dropPartitions(db, { keepDays });
      if (dropped > 0) logger.info({ dropped, keepDays }, "dropped old history");
      return "rest";
    },
  });
}
