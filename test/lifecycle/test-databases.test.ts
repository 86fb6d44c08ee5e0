import { openTestDatabase } from "@hark/test/database";
import pg from "pg";
import { expect } from "vitest";
import { test } from "../setup/fixtures.ts";

test("a test file works in a database of its own", async ({ pool, databaseUrl }) => {
  const { rows } = await pool.query("select current_database() as name");

  expect(databaseUrl).toMatch(new RegExp(`/${rows[0].name}$`));
  expect(rows[0].name).toMatch(/^hark_test_/);
});

test("many copies of one template can be made at once", async ({ server, databaseUrl }) => {
  const template = await server.createDatabase();
  await query(template, "create table seeded as select 1 as id");

  const copies = await Promise.all(
    Array.from({ length: 8 }, () => server.createDatabase(undefined, { template: nameOf(template) })),
  );

  expect(new Set([databaseUrl, ...copies]).size).toBe(9);
  for (const copy of copies) expect(await query(copy, "select id from seeded")).toEqual([{ id: 1 }]);
});

test("a copy waits until no session uses its template any more", async ({ server }) => {
  const template = await server.createDatabase();
  const session = new pg.Client({ connectionString: template });
  await session.connect();

  let isMade = false;
  const copy = server.createDatabase(undefined, { template: nameOf(template) }).then((url) => {
    isMade = true;
    return url;
  });
  // PostgreSQL waits up to 5 s for sessions to leave. If the statement is seen there, the copy is
  // in its first attempt.
  await expect.poll(() => query(server.url, creating), { timeout: 10_000 }).toHaveLength(1);
  expect(isMade).toBe(false);
  await session.end();

  expect(await query(await copy, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a database in use is dropped anyway, and one that was created elsewhere never", async ({ server }) => {
  const url = await server.createDatabase();
  const session = new pg.Client({ connectionString: url });
  session.on("error", () => {});
  await session.connect();

  await server.dropDatabase(url);

  await expect(query(url, "select 1")).rejects.toThrow(/does not exist/);
  await expect(server.dropDatabase("postgres")).rejects.toThrow(/was not created here/);
});

test("a given server is left running, without the databases made on it", async ({ server }) => {
  const others = await server.createDatabase();
  const given = await openTestDatabase({ url: server.url });
  const ours = await given.createDatabase();

  await Promise.all([given.stop(), given.stop()]);

  expect(given.kind).toBe("given");
  expect(given.describe).toMatch(/PostgreSQL \d+/);
  await expect(query(ours, "select 1")).rejects.toThrow(/does not exist/);
  expect(await query(others, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("the error for a server that does not respond names it, without its password", async () => {
  const open = openTestDatabase({ url: "postgres://me:secret@127.0.0.1:1/postgres" });

  await expect(open).rejects.toThrow(/127\.0\.0\.1:1 does not respond/);
  await expect(open).rejects.not.toThrow(/secret/);
});

const creating = `select 1 from pg_stat_activity where query like 'create database%' and state = 'active'`;

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}
