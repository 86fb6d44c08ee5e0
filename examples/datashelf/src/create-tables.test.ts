import { openTestDatabase, type TestDatabase } from "@hark/test/database";
import { getTableConfig } from "drizzle-orm/pg-core";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTables } from "./create-tables.ts";
import * as schema from "./schema.ts";

let server: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  server = await openTestDatabase();
  pool = new pg.Pool({ connectionString: await server.createDatabase(), max: 10 });
  pool.on("error", () => {}); // the server stops before the pool when the file ends
}, 60_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

test("ten processes can create the tables at once, and again", async () => {
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const client = await pool.connect();
        await createTables(client).finally(() => client.release());
      }),
    );
  }
});

test("the tables match the Drizzle schema: columns, types, nulls and keys", async () => {
  for (const table of [schema.crawls, schema.discovered, schema.pages, schema.books]) {
    const { name, columns, primaryKeys } = getTableConfig(table);
    const { rows } = await pool.query<{ name: string; type: string; required: boolean; key: boolean }>(
      `
      select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as required,
             attnum = any ((select conkey from pg_constraint where conrelid = attrelid and contype = 'p')::smallint[]) as key
        from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum`,
      [`datashelf.${name}`],
    );
    const keys = new Set(primaryKeys.flatMap(({ columns: parts }) => parts.map((part) => part.name)));
    expect(rows).toEqual(
      columns.map((column) => ({
        name: column.name,
        type: column.getSQLType(),
        required: column.notNull,
        key: column.primary || keys.has(column.name),
      })),
    );
  }
});
