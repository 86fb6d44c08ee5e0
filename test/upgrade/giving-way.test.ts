import { migrate, MigrationBlockedError, openDatabase } from "@hark/core";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

/* test/proof/upgrade/giving-way.test.ts shows a migration that waits while jobs go on. */

test(
  "a migration that never gets the lock gives up with an error that says what to do, and changes nothing",
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
