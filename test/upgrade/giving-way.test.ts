import { migrate, MigrationBlockedError, openDatabase } from "@hark/core";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

/* One that waits while jobs go on: test/proof/upgrade/giving-way.test.ts. */

test(
  "a migration that is never let through gives up with an error that says what to do, and leaves nothing",
  { tags: ["FM-44"] },
  async ({ server }) => {
    const connectionString = await server.createDatabase();
    const db = openDatabase({ connectionString });
    try {
      await db.transaction(async (holder) => {
        await holder.query("select pg_advisory_xact_lock(x'6861726b'::int, x'6d696772'::int)");
        await expect(migrate({ connectionString, waitMs: 1_000 })).rejects.toThrow(MigrationBlockedError);
      });
      expect((await db.pool.query("select to_regnamespace('hark') as schema")).rows).toEqual([{ schema: null }]);
      await migrate({ connectionString });
    } finally {
      await db.close();
    }
  },
);
