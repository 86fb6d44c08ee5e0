// @module-tag SEC-05
import { randomUUID } from "node:crypto";
import { createRoles, defineJob, getStats, migrate, openDatabase, silentLogger } from "@hark/core";
import { createProducer } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/* SEC-05: Hark needs no superuser and no extension. */

test("a plain role that owns its database can migrate, enqueue, work and query, and with CREATEROLE make the roles", async ({
  server,
  pool,
}) => {
  const name = `hark_test_${randomUUID().slice(0, 8)}`;
  const password = randomUUID();
  await pool.query(`create role ${name} login password '${password}' createrole`);
  const made = await server.createDatabase();
  const url = new URL(made);
  await pool.query(`alter database ${url.pathname.slice(1)} owner to ${name}`);
  url.username = name;
  url.password = password;
  const db = openDatabase({ connectionString: url.href });
  try {
    expect(await migrate({ connectionString: url.href })).not.toEqual([]);
    await createRoles({ connectionString: url.href });
    const { rows } = await db.pool.query("select extname from pg_extension where extname <> 'plpgsql'");
    expect(rows).toEqual([]);

    const job = defineJob("plain.job", { key: () => "k" });
    const worker = createWorker({
      connectionString: url.href,
      handlers: [implement(job, () => ({ done: true }))],
      logger: silentLogger,
    });
    await worker.start();
    try {
      const { id } = await createProducer({ database: db }).enqueue(job, {});
      await untilState(db, id, "completed");
      expect((await getStats(db)).completed).toBe(1);
      await (await worker.locks.acquire("page", { ttlMs: 1_000 })).release();
    } finally {
      await worker.stop("now");
    }
  } finally {
    await db.close();
    await server.dropDatabase(made);
    await pool.query(`drop role ${name}`);
  }
});
