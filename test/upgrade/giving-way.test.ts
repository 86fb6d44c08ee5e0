import { migrate, MigrationBlockedError, openDatabase } from "@hark/core";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

/* test/proof/upgrade/giving-way.test.ts shows a migration that waits while jobs go on. */

test(
  "a migration that never gets the ledger gives up with an error that says what to do, and changes nothing",
  { tags: ["FM-44"] },
  async ({ server }) => {
    const connectionString = await server.createDatabase();
    const db = openDatabase({ connectionString });
    try {
      await migrate({ connectionString });
      const ledger = async () => (await db.pool.query("select * from hark.migrations order by version")).rows;
      const [last] = (
        await db.pool.query(
          "delete from hark.migrations where version = (select max(version) from hark.migrations) returning *",
        )
      ).rows;
      const before = await ledger();
      await db.transaction(async (holder) => {
        await holder.query("lock table hark.migrations in row exclusive mode");
        await expect(migrate({ connectionString, waitMs: 1_000 })).rejects.toThrow(MigrationBlockedError);
      });
      expect(last).toBeDefined();
      expect(await ledger()).toEqual(before);
    } finally {
      await db.close();
    }
  },
);
