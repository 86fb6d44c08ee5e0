import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** Days ahead for which partitions exist. A week without any worker does no harm. */
const daysAhead = 7;

const hourMs = 3_600_000;

/** Makes tomorrow's partitions of the history and drops those older than `keepDays`, every hour. */
export function partitions({ db, keepDays, logger }: { db: Database; keepDays: number; logger: Logger }): Loop {
  return new Loop({
    name: "partitions",
    restMs: hourMs,
    logger,
    async step() {
      // One day at a time: making a partition locks the default partition during the statement.
      for (let days = 0; days <= daysAhead; days += 1) await statements.createPartitions(db, { daysAhead: days });
      const [{ dropped, deleted, waiting } = { dropped: 0, deleted: 0, waiting: 0 }] = await statements.dropPartitions(
        db,
        { keepDays },
      );
      if (dropped > 0 || deleted > 0) {
        logger.info({ dropped, deleted, keepDays }, "dropped old history");
        return "again";
      }
      if (waiting > 0) logger.warn({ waiting, keepDays }, "old history is in use and will be dropped later");
      return "rest";
    },
  });
}
