import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to look for job types that nobody here runs, in ms. */
const intervalMs = 30_000;

/**
 * Says so when ready jobs wait in this worker's queues for a handler it does not have; they stay
 * ready, and are not failed.
 */
export function missingHandlerWatch(parts: {
  db: Database;
  queues: Iterable<string>;
  types: readonly string[];
  logger: Logger;
}): Loop {
  const { db, types, logger } = parts;
  const queues = [...parts.queues];
  return new Loop({
    name: "missing handlers",
    restMs: intervalMs,
    logger,
    async step() {
      for (const queue of queues) {
        for (const { type, waitingMs } of await statements.unhandledTypes(db, { queue, types })) {
          logger.warn(
            { queue, type, waitingMs: Math.round(waitingMs), known: types },
            "ready jobs of this type wait for a handler: add implement() for it to a worker of this queue, or correct the type",
          );
        }
      }
      return "rest";
    },
  });
}
