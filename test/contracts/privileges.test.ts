import { randomBytes } from "node:crypto";
import type pg from "pg";
import { expect } from "vitest";
import { test as base } from "../setup/fixtures.ts";

/** Runs work as a new role, and drops the role afterwards: roles belong to the whole server. */
const test = base.extend("asRole", ({ pool }) => {
  return async (grants: string, work: (client: pg.PoolClient) => Promise<void>) => {
    const role = `hark_test_${randomBytes(6).toString("hex")}`;
    const client = await pool.connect();
    try {
      await client.query(`create role ${role}`);
      if (grants) await client.query(grants.replaceAll("$role", role));
      await client.query(`set role ${role}`);
      await work(client);
    } finally {
      await client.query(`rollback; reset role; drop owned by ${role}; drop role ${role}`);
      client.release();
    }
  };
});

const functions = `select p.oid::regprocedure::text as name, prosecdef as "isDefiner", proconfig as settings
  from pg_proc p where pronamespace = 'hark'::regnamespace order by 1`;

test("a role without grants can execute none of Hark's functions and read none of its tables", async ({
  pool,
  asRole,
}) => {
  const { rows } = await pool.query<{ name: string }>(functions);
  expect(rows.length).toBeGreaterThanOrEqual(8);

  await asRole("grant usage on schema hark to $role", async (client) => {
    const { rows: open } = await client.query(
      `select p.oid::regprocedure::text as name from pg_proc p
        where pronamespace = 'hark'::regnamespace and has_function_privilege(p.oid, 'execute')`,
    );
    expect(open).toEqual([]);
    const { rows: readable } = await client.query(
      `select relname from pg_class where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
          and (has_table_privilege(oid, 'select, insert, update, delete') or relkind = 'S' and has_sequence_privilege(oid, 'usage, select, update'))`,
    );
    expect(readable).toEqual([]);
    await expect(client.query("select hark.enqueue('test.plain', '{}')")).rejects.toThrow(
      /permission denied for function enqueue/,
    );
  });
  await asRole("", async (client) => {
    await expect(client.query("select hark.enqueue('test.plain', '{}')")).rejects.toThrow(
      /permission denied for schema hark/,
    );
  });
});

test("a role with execute on hark.enqueue alone can enqueue, and can do nothing else", async ({ pool, asRole }) => {
  const signature = "hark.enqueue(text, jsonb, text, timestamptz, interval, integer, text, text, integer)";

  await asRole(
    `grant usage on schema hark to $role; grant execute on function ${signature} to $role`,
    async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `select hark.enqueue('test.plain', '{"from": "sql"}', queue => 'granted', unique_key => 'one') as id`,
      );
      const again = await client.query<{ id: string }>(
        `select hark.enqueue('test.plain', '{}', queue => 'granted', unique_key => 'one') as id`,
      );
      expect(again.rows).toEqual(rows); // this goes through the table of unique keys too

      for (const table of [
        "jobs",
        "running_jobs",
        "finished_jobs",
        "dead_jobs",
        "attempts",
        "unique_keys",
        "workers",
        "locks",
        "stats",
        "schedules",
        "schedule_ticks",
      ]) {
        await expect(client.query(`select from hark.${table}`)).rejects.toThrow(/permission denied for table/);
        await expect(client.query(`delete from hark.${table}`)).rejects.toThrow(/permission denied for table/);
      }
      for (const call of [
        "enqueue_many('[]')",
        "insert_jobs('[]')",
        "next_fence('page')",
        "create_partitions(1)",
        "drop_partitions(1)",
        "fire_schedule('s', 1, now(), '{}', now())",
      ]) {
        await expect(client.query(`select hark.${call}`)).rejects.toThrow(/permission denied for function/);
      }
    },
  );

  expect((await pool.query("select payload from hark.jobs where queue = 'granted'")).rows).toEqual([
    { payload: { from: "sql" } },
  ]);
});

test("functions that run as their owner fix their search path, and use no schema that a caller can write to", async ({
  pool,
  asRole,
}) => {
  const { rows } = await pool.query<{ name: string; isDefiner: boolean; settings: string[] | null }>(functions);
  for (const { name, isDefiner, settings } of rows) {
    if (isDefiner) expect(settings ?? [], name).toContain("search_path=hark, pg_temp");
  }

  // A caller's own table and functions with Hark's names are not used.
  await asRole(
    "grant usage on schema hark to $role; grant execute on all functions in schema hark to $role",
    async (client) => {
      await client.query(`create temp table jobs (id bigint, queue text, key text, state text); create temp table unique_keys (queue text);
        create function pg_temp.clock_timestamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$`);
      await client.query(`select hark.enqueue('test.plain', '{}', queue => 'shadowed', key => 'k', unique_key => 'u')`);
      expect((await client.query("select from pg_temp.jobs")).rowCount).toBe(0);
    },
  );
  expect((await pool.query("select state from hark.jobs where queue = 'shadowed'")).rows).toEqual([{ state: "ready" }]);
});

test("no function builds SQL from its arguments or from stored values", async ({ pool }) => {
  const { rows } = await pool.query<{ name: string; source: string }>(
    "select proname as name, prosrc as source from pg_proc where pronamespace = 'hark'::regnamespace",
  );
  for (const { name, source } of rows) {
    for (const [line] of source.matchAll(/EXECUTE .*/gi)) {
      expect(["create_partitions", "drop_partitions"], `${name}: ${line}`).toContain(name);
      expect(line, name).toMatch(/^EXECUTE format\('[^']*%I/); // names only, quoted
    }
  }
});
