import { type Database, doctor, type Logger } from "@hark/core";
import type { Part } from "../runtime/part.ts";

/**
 * Says once, at the start, which settings the worker's sessions asked for and do not have: a pooler
 * or proxy refused or ignored them (FM-80). Through a pooler that was declared nothing can be set,
 * so it is no warning there.
 */
export function sessionSettings(parts: { db: Database; isPooled: boolean; logger: Logger }): Part {
  const { db, isPooled, logger } = parts;
  let asking: Promise<void> | undefined;
  const ask = async () => {
    const missing = await doctor.listMissingSettings(db);
    if (missing.length === 0) return;
    logger[isPooled ? "debug" : "warn"](
      { missing },
      'this worker\'s sessions lack settings that they ask for: a pooler or proxy refuses or ignores them, and claims may be slow. Set them for the role, or use a URL that leads to PostgreSQL directly. "hark doctor" says more',
    );
  };
  return {
    start() {
      asking = ask().catch((error: unknown) => logger.debug({ err: error }, "the session's settings are not known"));
    },
    stop: async () => asking,
  };
}
