// @module-tag SEC-03
// @module-tag SEC-08
// @module-tag SEC-09
import { expect } from "vitest";
import { test } from "../support/logins.ts";

/*
 * SEC-03: functions that run as their owner pin their search path, so that a caller's objects with
 * our names are not used.
 */

test("every function that runs as its owner pins its search path, and belongs to the schema's owner", async ({
  logIn,
  pool,
}) => {
  await logIn("hark_producer");
  const { rows } = await pool.query<{ name: string; settings: string[] | null; isOwners: boolean }>(
    `select proname as name, proconfig as settings, proowner = nspowner as "isOwners"
       from pg_proc join pg_namespace on pg_namespace.oid = pronamespace where nspname = 'hark' and prosecdef`,
  );
  expect(rows.length).toBeGreaterThanOrEqual(9);
  for (const { name, settings, isOwners } of rows) {
    expect(settings ?? [], name).toContain("search_path=hark, pg_temp"); // pg_temp must be named last, otherwise it comes first
    expect(isOwners, name).toBe(true);
  }
});

test("a producer's own tables, functions, operators and types with our names have no effect", async ({
  logIn,
  pool,
}) => {
  const { client, name } = await logIn("hark_producer");
  await client.query(`
    create temp table jobs (like pg_class);
    create temp table unique_keys (queue text, unique_key text, job_id bigint);
    create temp table job_owners (job_id bigint, owner name, created_at timestamptz);
    create temp table finished_jobs (id bigint, state text, result jsonb, finished_at timestamptz);
    insert into pg_temp.job_owners select n, session_user, now() from generate_series(1, 1000) n;
    create function pg_temp.clock_timestamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$;
    create function pg_temp.pg_notify(text, text) returns void language sql as $$ select pg_terminate_backend(pg_backend_pid()) $$;
    create function pg_temp.nextval(text) returns bigint language sql as $$ select -1::bigint $$;
    create function pg_temp.stolen(text, text) returns boolean language plpgsql as $$ begin raise exception 'ran as %', current_user; end $$;
    create operator pg_temp.= (leftarg = text, rightarg = text, function = pg_temp.stolen);
    create operator pg_temp.!~ (leftarg = text, rightarg = text, function = pg_temp.stolen);
    create type pg_temp.jsonb as (mine text);
    create domain pg_temp.text as pg_catalog.text check (false)`);
  const ids: string[] = [];
  for (const path of ["pg_temp, hark, pg_catalog", "pg_temp, pg_catalog", "hark, public"]) {
    await client.query(`set search_path = ${path}`);
    const { rows } = await client.query<{ id: string }>(
      `select hark.enqueue('shop.order', '{"n": 1}', queue => 'shadowed', key => 'k', unique_key => '${path}', delay => interval '0 s') as id`,
    );
    ids.push(rows[0]!.id);
    const many = await client.query(
      `select id from hark.insert_jobs('[{"type": "shop.order", "queue": "shadowed"}]'::pg_catalog.jsonb)`,
    );
    ids.push((many.rows[0] as { id: string }).id);
  }
  await client.query("reset search_path");

  const { rows: written } = await pool.query(
    `select id, state, queue, owner from hark.jobs join hark.job_owners on job_id = id where id = any ($1) order by id`,
    [ids],
  );
  expect(written).toEqual(ids.map((id) => ({ id, state: "ready", queue: "shadowed", owner: name })));
  expect((await pool.query("select from hark.unique_keys where queue = 'shadowed'")).rowCount).toBe(3);
  for (const table of ["jobs", "unique_keys"])
    expect((await client.query(`select from pg_temp.${table}`)).rowCount, table).toBe(0);

  // A temporary table of owners does not give the caller another owner's job.
  const { rows: foreign } = await pool.query<{ id: string }>("select hark.enqueue('bank.transfer', '{}') as id");
  await client.query("insert into pg_temp.job_owners values ($1, session_user, now())", [foreign[0]!.id]);
  expect((await client.query("select * from hark.job_result($1)", [foreign[0]!.id])).rows).toEqual([]);
});

test("values that look like SQL stay values", async ({ logIn, pool }) => {
  const { client } = await logIn("hark_producer");
  const hostile = `'; delete from hark.jobs; --`;
  const before = (await pool.query("select from hark.jobs")).rowCount ?? 0;
  const { rows } = await client.query<{ id: string }>(
    "select hark.enqueue('shop.order', to_jsonb($1::text), key => $1, unique_key => $1) as id",
    [hostile],
  );
  for (const [type, queue] of [
    [hostile, "default"],
    ["shop.order", hostile],
  ])
    await expect(client.query("select hark.enqueue($1, '{}', queue => $2)", [type, queue])).rejects.toThrow(/valid/);
  expect((await pool.query("select key, payload from hark.jobs where id = $1", [rows[0]!.id])).rows).toEqual([
    { key: hostile, payload: hostile },
  ]);
  expect((await pool.query("select from hark.jobs")).rowCount).toBe(before + 1);
});
