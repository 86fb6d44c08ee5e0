import { defineJob, openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import pg from "pg";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

/*
 * A producer on the application's own pool harms neither side, whatever the application does with
 * its sessions.
 */

test(
  "statements of the application may have the names of Hark's",
  { tags: ["FM-67"] },
  async ({ databaseUrl, queue }) => {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
    try {
      const producer = createProducer({ pool, maxDepth: 10 });
      const job = defineJob("test.shared", { queue });
      for (const name of ["insert-jobs", "queue-depth"]) await pool.query({ name, text: "select 1" });
      await producer.enqueue(job, 1);
      await producer.enqueueMany([{ job, payload: 2 }]);
      for (const name of ["insert-jobs", "queue-depth"]) await pool.query({ name, text: "select 1" });
      const { rows } = await pool.query<{ name: string }>(
        "select name from pg_prepared_statements where name like 'hark%'",
      );
      expect(rows.map(({ name }) => name.replace(/[0-9a-f]{8}$/, "*")).toSorted()).toEqual([
        "hark_insert-jobs_*",
        "hark_queue-depth_*",
      ]);
    } finally {
      await pool.end();
    }
  },
);

test(
  "any number of producers on one pool has one pair of listeners",
  { tags: ["FM-67"] },
  async ({ databaseUrl, queue }) => {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
    const listeners = () => pool.listenerCount("error") + pool.listenerCount("connect");
    const before = listeners();
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on("warning", warn);
    try {
      const producers = Array.from({ length: 50 }, () => createProducer({ pool }));
      await Promise.all(producers.map((producer) => producer.enqueue(defineJob("test.shared", { queue }), 1)));
      expect(listeners()).toBe(before + 2);
      const client = await pool.connect();
      expect(client.listenerCount("error")).toBeLessThanOrEqual(3);
      client.release();
      await Promise.all(producers.map((producer) => producer.close()));
      expect(listeners()).toBe(before);
      expect(warnings).toEqual([]);
    } finally {
      process.off("warning", warn);
      await pool.end();
    }
  },
);

test(
  "calls that wait for one unique key hold up no others",
  { tags: ["FM-67"] },
  async ({ databaseUrl, db, queue }) => {
    const own = openDatabase({ connectionString: databaseUrl, maxConnections: 3 });
    const producer = createProducer({ database: own });
    const job = defineJob("test.blocked", { queue });
    const blocker = await db.pool.connect();
    try {
      await blocker.query("begin");
      const { id } = await producer.in(blocker).enqueue(job, {}, { uniqueKey: "held" });
      let waiting = 4;
      const held = Array.from({ length: waiting }, () =>
        producer.enqueue(job, {}, { uniqueKey: "held" }).finally(() => (waiting -= 1)),
      );
      // All of them end while the key is held: plain ones, many at once, and those with other keys.
      await Promise.all([
        ...Array.from({ length: 20 }, (_, n) => producer.enqueue(job, n)),
        ...Array.from({ length: 20 }, (_, n) => producer.enqueue(job, n, { uniqueKey: `other ${n}` })),
        producer.enqueueMany([{ job, payload: 1, options: { uniqueKey: "many" } }]),
        producer.enqueueMany([{ job, payload: 1 }]),
      ]);
      expect(waiting).toBe(4);
      await blocker.query("commit");
      expect(await Promise.all(held)).toEqual(held.map(() => ({ id, status: "duplicate" })));
    } finally {
      blocker.release(true);
      await own.close();
    }
  },
);
