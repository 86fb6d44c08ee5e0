import { cancelJob, createLocks, defineJob, migrate, openDatabase, requeueDeadJob } from "@hark/core";
import { statements } from "@hark/core/internal";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect, inject } from "vitest";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

const tablesThatRefuse = `
  select relname from pg_class
   where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p') and relreplident <> 'f'
     and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)`;

for (const what of ["for all tables", "for tables in schema hark"]) {
  test(
    `with a publication ${what}, jobs reach every state, and upkeep makes, empties and drops partitions`,
    { tags: ["FM-84"] },
    async ({ server, startWorker, queue }) => {
      const url = await server.createDatabase(undefined, { template: inject("template") });
      await using db = { ...openDatabase({ connectionString: url }), [Symbol.asyncDispose]: () => db.close() };
      await db.pool.query(`create publication everything ${what}`);
      const producer = createProducer({ database: db });
      const job = defineJob("test.job", { queue, retry: { attempts: 2, backoff: { base: 1 } } });
      await startWorker(
        [
          implement(job, ({ payload, attempt }) => {
            if (payload === "die" || (payload === "retry" && attempt === 1)) throw new Error("as told");
          }),
        ],
        { connectionString: url },
      );
      const done = await producer.enqueue(job, "plain", { uniqueKey: "u" });
      const retried = await producer.enqueue(job, "retry", { key: "k" });
      const dead = await producer.enqueue(job, "die");
      await untilState(db, done.id, "completed");
      await untilState(db, retried.id, "completed");
      await untilState(db, dead.id, "dead");
      expect((await requeueDeadJob(db, dead.id))?.isRequeued).toBe(true);
      expect(await cancelJob(db, (await producer.enqueue(job, "later", { delay: "1h" })).id)).toBe("scheduled");
      await (await createLocks({ db }).acquire("lock", { ttlMs: 1_000 })).release();

      await db.pool.query(
        "create table hark.finished_jobs_20200101 partition of hark.finished_jobs for values from ('2020-01-01') to ('2020-01-02')",
      );
      await db.pool.query(
        'insert into hark.finished_jobs_default select (jsonb_populate_record(job, \'{"finished_at": "2019-01-01"}\')).* from hark.finished_jobs job limit 1',
      );
      expect(await statements.createPartitions(db, { daysAhead: 12 })).toEqual([{ created: 10 }]);
      expect(await statements.dropPartitions(db, { keepDays: 7 })).toEqual([{ dropped: 1, deleted: 1, waiting: 0 }]);
      expect((await statements.foldStats(db, { limit: 100 }))[0]!.folded).toBeGreaterThan(0);
      expect((await db.pool.query(tablesThatRefuse)).rows).toEqual([]);
    },
  );
}

test("migrate() works where a publication of all tables is there first", { tags: ["FM-84"] }, async ({ server }) => {
  const url = await server.createDatabase();
  const db = openDatabase({ connectionString: url });
  await db.pool.query("create publication everything for all tables");
  expect((await migrate({ connectionString: url })).length).toBeGreaterThan(0);
  expect((await db.pool.query(tablesThatRefuse)).rows).toEqual([]);
  await db.close();
});
