import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to look, in ms. A hand-off frees parked jobs at once, so there is hardly ever one. */
const intervalMs = 60_000;

/** Jobs freed in one statement. */
const batchSize = 1_000;

/** Frees parked jobs whose key is free but that no hand-off freed. */
export function unpark({ db, logger }: { db: Database; logger: Logger }): Loop {
  return new Loop({
    name: "unpark",
    restMs: intervalMs,
    logger,
    async step() {
      const [{ unparked } = { unparked: 0 }] = await statements.unparkJobs(db, { limit: batchSize });
      if (unparked > 0) logger.warn({ unparked }, "freed parked jobs that no hand-off had freed");
      return "rest";
    },
  });
}
