import { migrate, openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { task } from "../../support/task.ts";
import { installRelease } from "./releases.ts";

/* test/upgrade/giving-way.test.ts shows a migration that never gets the lock. */

test(
  "a migration that waits for a table blocks no statement, and goes on when the table is free",
  { tags: ["FM-44"] },
  async ({ server, queue }) => {
    const connectionString = await server.createDatabase();
    await migrate({ connectionString });
    const text = "-- Oldest code: version 7\nALTER TABLE hark.jobs ADD COLUMN IF NOT EXISTS tenant text;";
    await using next = await installRelease({ later: [{ name: "0007_tenant", text }] });
    const db = openDatabase({ connectionString });
    try {
      const producer = createProducer({ database: db });
      await producer.enqueue(task, {}, { queue }); // opens its connection
      let waits = 0;
      let isWaiting = false;
      const tookMs: number[] = [];

      const migrated = await db.transaction(async (reader) => {
        await reader.query("select from hark.jobs");
        const migrating = next.hark(["migrate"], connectionString);
        // Until the migration has waited for the table and given way twice.
        await eventually(
          async () => {
            const { rowCount } = await db.pool.query(
              "select from pg_locks where relation = 'hark.jobs'::regclass and mode = 'AccessExclusiveLock' and not granted",
            );
            if (rowCount === 0 && isWaiting) waits += 1;
            isWaiting = rowCount === 1;
            const askedAt = performance.now();
            await producer.enqueue(task, {}, { queue });
            tookMs.push(performance.now() - askedAt);
            await reader.query("select 1"); // a session that is silent for 10 s is ended
            return waits >= 2;
          },
          { withinMs: 60_000, what: "two waits of the migration" },
        );
        return { answer: migrating };
      });

      expect(Math.max(...tookMs)).toBeLessThan(1_000);
      expect(await migrated.answer).toMatchObject({ code: 0, output: "applied 0007_tenant\n" });
    } finally {
      await db.close();
    }
  },
);
