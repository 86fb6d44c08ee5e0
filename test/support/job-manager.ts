import { silentLogger } from "@hark/core";
import pg from "pg";
import { JobManager, type JobManagerOptions, type JobProcessor } from "pg-hark";
import { inject } from "vitest";
import { test as base } from "../setup/fixtures.ts";

/** What a processor returns for a success. */
export const done = { success: true, itemsProcessed: 1, errors: [], duration: 1 };

/** JobManagers share one queue, so each test has a database of its own. */
export const test = base
  .extend("ownUrl", ({ server }) => server.createDatabase(undefined, { template: inject("template") }))
  .extend("sql", ({ ownUrl }, { onCleanup }) => {
    const pool = new pg.Pool({ connectionString: ownUrl });
    pool.on("error", () => {});
    onCleanup(() => pool.end());
    return pool;
  })
  /** An initialised JobManager, started if a processor is given. */
  .extend("manage", ({ ownUrl }, { onCleanup }) => {
    const managers: JobManager[] = [];
    onCleanup(async () => void (await Promise.all(managers.map((manager) => manager.stop("now")))));
    return async (processor?: JobProcessor, options: Partial<JobManagerOptions> = {}) => {
      const manager = new JobManager({ connectionString: ownUrl, logger: silentLogger, requestDelay: 0, ...options });
      managers.push(manager);
      await manager.initialize();
      if (processor) manager.setJobProcessor(processor);
      if (processor) await manager.start();
      return manager;
    };
  });
