import { is } from "drizzle-orm";
import { getTableConfig, getViewConfig, PgTable, PgView } from "drizzle-orm/pg-core";
import * as views from "pg-hark/schema";
import { expect } from "vitest";
import * as schema from "../../packages/core/dist/schema/index.js";
import { test } from "../setup/fixtures.ts";

const tables = Object.values<unknown>(schema).filter((entry) => is(entry, PgTable));

test(
  "the migrated database has every table of schema/, and no others except the migrator's ledger and partitions",
  { tags: ["PLAIN-2"] },
  async ({ pool }) => {
    const { rows } = await pool.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p') and not relispartition`,
    );
    expect(rows.map(({ name }) => name).toSorted()).toEqual(
      [...tables.map((table) => getTableConfig(table).name), "migrations"].toSorted(),
    );
  },
);

test("what applications import has every table as an existing view, of which drizzle-kit makes no migration", () => {
  const exported = Object.values<unknown>(views);
  expect(exported.filter((entry) => !is(entry, PgView))).toEqual([]);
  const configs = exported.map((view) => getViewConfig(view as PgView));
  expect(configs.filter(({ isExisting, schema: of }) => !isExisting || of !== "hark")).toEqual([]);
  expect(configs.map(({ name }) => name).toSorted()).toEqual(
    tables.map((table) => getTableConfig(table).name).toSorted(),
  );
});

for (const table of tables) {
  const { name, columns, indexes, checks, primaryKeys } = getTableConfig(table);

  test(`${name} has the columns, indexes and checks of schema/`, async ({ pool }) => {
    const { rows: found } = await pool.query<{ name: string; type: string; isRequired: boolean }>(
      `select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as "isRequired" from pg_attribute
        where attrelid = ('hark.' || $1)::regclass and attnum > 0 and not attisdropped order by attname`,
      [name],
    );
    expect(found).toEqual(
      columns
        .map((column) => ({ name: column.name, type: column.getSQLType(), isRequired: column.notNull }))
        .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    );

    const { rows: constraints } = await pool.query<{ name: string; kind: string }>(
      `select conname as name, contype as kind from pg_constraint where conrelid = ('hark.' || $1)::regclass and contype in ('c', 'p')`,
      [name],
    );
    expect(
      constraints
        .filter(({ kind }) => kind === "c")
        .map((check) => check.name)
        .toSorted(),
    ).toEqual(checks.map((check) => check.name).toSorted());
    const hasKey = primaryKeys.length > 0 || columns.some(({ primary }) => primary);
    expect(constraints.filter(({ kind }) => kind === "p")).toHaveLength(hasKey ? 1 : 0);

    const { rows: indexed } = await pool.query<{ name: string; isUnique: boolean; isPartial: boolean }>(
      `select c.relname as name, indisunique as "isUnique", indpred is not null as "isPartial" from pg_index i
         join pg_class c on c.oid = i.indexrelid where indrelid = ('hark.' || $1)::regclass and not indisprimary order by 1`,
      [name],
    );
    expect(indexed).toEqual(
      indexes
        .map(({ config }) => ({ name: config.name, isUnique: config.unique, isPartial: config.where !== undefined }))
        .toSorted((one, other) => (one.name! < other.name! ? -1 : 1)),
    );
  });
}

test("partitions for today and the next week exist, and a row of any other day is stored as well", async ({ pool }) => {
  for (const parent of ["finished_jobs", "attempts"]) {
    const { rows } = await pool.query<{ name: string }>(
      `select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = ('hark.' || $1)::regclass order by 1`,
      [parent],
    );
    const days = rows.map(({ name }) => name.slice(parent.length + 1));
    expect(days).toContain("default");
    expect(days.filter((day) => /^\d{8}$/.test(day)).length).toBeGreaterThanOrEqual(8);
  }
  const { rows } = await pool.query<{ place: string }>(
    `insert into hark.attempts (job_id, queue, type, attempt, ending, finished_at)
     values (1, 'q', 't', 1, 'error', now() + interval '1 year') returning tableoid::regclass::text as place`,
  );
  expect(rows).toEqual([{ place: "hark.attempts_default" }]);
});

test("old history is dropped by day, and the rest stays", async ({ pool }) => {
  await pool.query(
    `create table hark.attempts_20200101 partition of hark.attempts for values from ('2020-01-01') to ('2020-01-02');
     insert into hark.attempts (job_id, queue, type, attempt, ending, finished_at)
     values (2, 'q', 't', 1, 'error', '2020-01-01 12:00Z'), (3, 'q', 't', 1, 'error', '2019-06-01'), (4, 'q', 't', 1, 'error', now())`,
  );

  const { rows } = await pool.query("select dropped, deleted, waiting from hark.drop_partitions(7)");

  expect(rows).toEqual([{ dropped: 1, deleted: 1, waiting: 0 }]);
  expect((await pool.query("select job_id from hark.attempts where job_id in (2, 3, 4)")).rows).toEqual([
    { job_id: "4" },
  ]);
});

test.for([[null], [-1], [0], [1_000_001], [2_147_483_647], [-2_147_483_648]])(
  "keeping history for %s days is rejected, and nothing is dropped",
  async ([keepDays], { pool }) => {
    const history = () =>
      pool.query(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'hark.attempts'::regclass order by 1",
      );
    const before = (await history()).rows;
    const refusal = {
      code: "22023",
      message: expect.stringMatching(/1 to 1000000, not (null|-?\d+): nothing was dropped/),
    };
    await expect(pool.query("select hark.drop_partitions($1)", [keepDays])).rejects.toMatchObject(refusal);
    expect((await history()).rows).toEqual(before);
  },
);

test.for([[null], [-1], [367], [2_147_483_647]])(
  "making partitions for %s days ahead is rejected, and none is made",
  async ([daysAhead], { pool }) => {
    await expect(pool.query("select hark.create_partitions($1)", [daysAhead])).rejects.toMatchObject({
      code: "22023",
      message: expect.stringContaining("0 to 366, not"),
    });
  },
);

const hotTables = ["jobs", "running_jobs", "unique_keys", "stats"];

test("vacuum of a hot table keeps the file, and does not lock all sessions out to shorten it", async ({ pool }) => {
  await pool.query(`insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
                    select 'q', 't', '{}', 0, 0, 1, 0, now(), now(), 'ready' from generate_series(1, 20000)`);
  await pool.query("insert into hark.stats (queue, completed) select 'q', 1 from generate_series(1, 20000)");
  const sizes = async () =>
    (await pool.query("select pg_relation_size('hark.jobs') as jobs, pg_relation_size('hark.stats') as stats"))
      .rows[0] as unknown;
  const before = await sizes();
  await pool.query("delete from hark.jobs where queue = 'q'; delete from hark.stats where queue = 'q'");

  for (const table of hotTables) await pool.query(`vacuum hark.${table}`);

  expect(await sizes()).toEqual(before);
});

test(
  "vacuum of waiting jobs cleans their indexes too, even if few of many were deleted",
  { tags: ["FM-42"] },
  async ({ pool }) => {
    await pool.query(`insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
                    select 'q', 't', '{}', 0, 0, 1, 0, now(), now(), 'ready' from generate_series(1, 100000)`);
    await pool.query("vacuum analyze hark.jobs");
    await pool.query("delete from hark.jobs where id in (select id from hark.jobs order by id limit 1500)"); // 1.5 % of the pages

    await pool.query("vacuum hark.jobs");

    const { rows } = await pool.query<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }>(
      `explain (analyze, buffers, format json)
       select id from hark.jobs where queue = 'q' and state = 'ready' order by priority desc, id limit 1`,
    );
    expect(rows[0]!["QUERY PLAN"][0].Plan["Shared Hit Blocks"]).toBeLessThanOrEqual(5); // down the index, and the row
    await pool.query("delete from hark.jobs where queue = 'q'");
  },
);

test("the partitions have the same indexes as their parent", async ({ pool }) => {
  const { rows } = await pool.query<{ name: string; options: string[] }>(
    `select distinct parent.relname as name, index.reloptions as options
       from pg_inherits join pg_class index on index.oid = inhrelid join pg_class parent on parent.oid = inhparent
      where index.relkind = 'i' and parent.relnamespace = 'hark'::regnamespace order by 1`,
  );
  const options = ["pages_per_range=16", "autosummarize=true"];
  expect(rows).toEqual([
    { name: "attempts_job_id", options },
    { name: "finished_jobs_id", options },
  ]);
});
