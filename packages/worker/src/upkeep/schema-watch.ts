import { type Database, type Logger, SchemaVersionError } from "@hark/core";
import { schemaVersionOn } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to look, in ms: at two statements a look, little for an idle worker. */
const intervalMs = 60_000;

/**
 * Checks whether the schema still supports this code, and reports once if it does not. A newer Hark
 * may have removed what this one needs, and its claims would all fail (FM-44). This is final, since
 * a schema never goes back.
 */
export function schemaWatch(parts: {
  db: Database;
  onShutOut: (error: SchemaVersionError) => void;
  logger: Logger;
}): Loop {
  let isShutOut = false;
  return new Loop({
    name: "schema version",
    restMs: intervalMs,
    logger: parts.logger,
    async step() {
      if (isShutOut) return "rest";
      try {
        await schemaVersionOn(parts.db);
      } catch (error) {
        if (!(error instanceof SchemaVersionError)) throw error;
        isShutOut = error.facts.oldestCode !== undefined;
        if (isShutOut) parts.onShutOut(error);
      }
      return "rest";
    },
  });
}
