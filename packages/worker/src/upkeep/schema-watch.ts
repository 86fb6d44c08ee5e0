import { type Database, type Logger, SchemaVersionError } from "@hark/core";
import { schemaVersionOn } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/**
 * How often to look, in ms: two statements on one small table, that an idle worker should hardly
 * feel.
 */
const intervalMs = 30_000;

/**
 * Looks whether the schema still lets this code in, and tells once when it does not: a newer Hark
 * may have taken away what this one needs, and its claims would fail one after the other (FM-44).
 * There is no way back, since a schema never goes back.
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
