import { type Database, type Queryable, openDatabase } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";

const ways = {
  transaction: (db: Database, work: (on: Queryable) => Promise<unknown>) =>
    db.transaction((tx) => work({ query: ({ text, values }) => tx.query(text, values) })),
  onOneConnection: (db: Database, work: (on: Queryable) => Promise<unknown>) => db.onOneConnection(work),
};

// FM-07: a connection that failed is never used again, whatever its state, such as an aborted
// transaction that holds a lock.
for (const [name, run] of Object.entries(ways)) {
  test(
    `a connection on which ${name}() failed is closed and its locks are released, though the pool has no other`,
    { tags: ["FM-07"] },
    async ({ db: observer, databaseUrl }) => {
      const db = openDatabase({ connectionString: databaseUrl, maxConnections: 1 });
      try {
        let failed: unknown;
        const doomed = run(db, async (on) => {
          const { rows } = await on.query({
            text: "select pg_backend_pid() as pid, pg_advisory_lock(7, 7)::text, set_config('hark.left', 'behind', false)",
            values: [],
          });
          failed = rows[0]?.["pid"];
          await on.query({ text: "select 1 / 0", values: [] });
        });
        await expect(doomed).rejects.toThrow(/division by zero/);

        const { rows } = await db.query({
          text: "select pg_backend_pid() as pid, current_setting('hark.left', true) as left",
          values: [],
        });
        expect(failed).toEqual(expect.any(Number));
        expect(rows).toEqual([{ pid: expect.any(Number), left: null }]);
        expect(rows[0]?.["pid"]).not.toBe(failed);
        const holders = () =>
          observer.query({ text: "select pid from pg_locks where locktype = 'advisory' and classid = 7", values: [] });
        await eventually(async () => (await holders()).rows.length === 0, { withinMs: 30_000, what: "a free lock" });
      } finally {
        await db.close();
      }
    },
  );
}
