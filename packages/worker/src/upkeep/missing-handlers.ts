import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to look for job types without a handler here, in ms. */
const intervalMs = 60_000;

/**
 * Warns if ready jobs in this worker's queues wait for a handler that it does not have. They stay
 * ready, and do not fail.
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
      for (const { queue, type, waitingMs } of await statements.unhandledTypes(db, { queues, types })) {
        logger.warn(
          { queue, type, waitingMs: Math.round(waitingMs), known: types },
          "ready jobs of this type wait for a handler: add implement() for it to a worker of this queue, or correct the type",
        );
      }
      return "rest";
    },
  });
}
