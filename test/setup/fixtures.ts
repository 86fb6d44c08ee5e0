import { openTestDatabase } from "@hark/test/database";
import pg from "pg";
import { inject, test as base } from "vitest";

/** A test with a real database of its file's own. */
export const test = base
  /**
   * The run's server, for tests that need more databases. All that were created through it are
   * dropped after the file.
   */
  .extend("server", { scope: "file" }, () => openTestDatabase({ url: inject("serverUrl") }))
  /** The file's own copy of the migrated template. */
  .extend("databaseUrl", { scope: "file" }, async ({ server }, { onCleanup }) => {
    onCleanup(() => server.stop());
    return await server.createDatabase(undefined, { template: inject("template") });
  })
  /**
   * Sessions on that copy. Losing an idle one is not a failure: tests cut connections, and the copy
   * is dropped.
   */
  .extend("pool", { scope: "file" }, ({ databaseUrl }, { onCleanup }) => {
    const pool = new pg.Pool({ connectionString: databaseUrl });
    pool.on("error", () => {});
    onCleanup(() => pool.end());
    return pool;
  });
