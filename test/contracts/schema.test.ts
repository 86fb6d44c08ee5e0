import * as schema from "@hark/core/schema";
import { is } from "drizzle-orm";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { expect } from "vitest";
import { test } from "../setup/fixtures.ts";

const tables = Object.values<unknown>(schema).filter((entry) => is(entry, PgTable));

test("the migrated database has every table of schema/, and no other but the migrator's ledger and partitions", async ({
  pool,
}) => {
  const { rows } = await pool.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p') and not relispartition`,
  );
  expect(rows.map(({ name }) => name).toSorted()).toEqual(
    [...tables.map((table) => getTableConfig(table).name), "migrations"].toSorted(),
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

test("partitions of today and the week ahead stand ready, and a row of any other day is kept as well", async ({
  pool,
}) => {
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

test("old history goes with its day, and the rest stays", async ({ pool }) => {
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
