import { openDatabase } from "@hark/core";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { startPgBouncer } from "../../support/pgbouncer.ts";

// FM-04: an application gives the producer a URL, and need not know that a pooler is behind it.
test(
  "queries and transactions work behind a transaction pooler that was not declared",
  { tags: ["FM-04"] },
  async ({ databaseUrl }) => {
    await using pooler = await startPgBouncer(databaseUrl, { poolMode: "transaction" });
    const db = openDatabase({ connectionString: pooler.url, plansByIndex: true });
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => db.close());

    for (let n = 0; n < 20; n += 1) {
      const { rows } = await db.query({ name: "one", text: "select 1 as one", values: [] });
      expect(rows).toEqual([{ one: 1 }]);
    }
    const inside = await db.transaction(async (tx) => (await tx.query({ text: "select 2 as two", values: [] })).rows);
    expect(inside).toEqual([{ two: 2 }]);
  },
);
