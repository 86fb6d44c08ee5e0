import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { TypedEvent } from "../runtime/event.ts";
import { Loop } from "../runtime/loop.ts";

/**
 * Jobs between two vacuums. Every job leaves a dead row in each table that it passed, some 300 B
 * with their index entries; after so many jobs, 80 MB, all of it is still in shared memory
 * (docs/decisions/0023).
 */
const everyJobs = 250_000;

/**
 * After a vacuum, the pause is this many times its duration. Vacuums cost more with a deep queue,
 * and remove nothing while an old snapshot lasts.
 */
const restsPerVacuum = 20;

/** Longest pause without a ring, in ms. */
const idleMs = 3_600_000;

/**
 * Vacuums the tables that jobs pass through each time this worker has moved many of them.
 * Autovacuum looks once a minute, which is millions of dead rows too late for a busy queue. It
 * stays for all other queues, and where the worker's role may not vacuum. `moved` tells how many
 * jobs moved on.
 */
export function vacuum({ db, moved, logger }: { db: Database; moved: TypedEvent<number>; logger: Logger }): Loop {
  let jobs = 0;
  let restsUntil = 0;
  const loop = new Loop({
    name: "vacuum",
    restMs: idleMs,
    logger,
    async step() {
      if (jobs < everyJobs) return "rest";
      const startedAt = performance.now();
      if (startedAt < restsUntil) return { restMs: restsUntil - startedAt };
      jobs = 0; // those that move meanwhile count for the next
      try {
        await statements.vacuumPassedTables(db);
      } finally {
        const endedAt = performance.now();
        restsUntil = endedAt + restsPerVacuum * (endedAt - startedAt);
      }
      return "again"; // many may have moved meanwhile
    },
  });
  moved.on((more) => {
    const wasDue = jobs >= everyJobs;
    jobs += more;
    if (!wasDue && jobs >= everyJobs) loop.wakeUp.ring();
  });
  return loop;
}
