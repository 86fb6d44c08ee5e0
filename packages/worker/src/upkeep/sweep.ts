import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to sweep, in ms. An expired row costs only its room. */
const intervalMs = 300_000;

/** Rows of each table deleted in one statement. */
const batchSize = 1_000;

/** Deletes locks that expired without a release, and hosts that no job has visited for an hour. */
export function sweep({ db, logger }: { db: Database; logger: Logger }): Loop {
  return new Loop({
    name: "sweep",
    restMs: intervalMs,
    logger,
    async step() {
      const [{ locks, hosts } = { locks: 0, hosts: 0 }] = await statements.sweepExpired(db, { limit: batchSize });
      return Math.max(locks, hosts) === batchSize ? "again" : "rest";
    },
  });
}
