import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { checkSchema, migrate, readMigrations, SchemaVersionError, schemaVersion } from "@hark/core";
import pg from "pg";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";

const entry = fileURLToPath(new URL("../support/migrate-main.ts", import.meta.url));

/** An empty database, and processes that wait for the word to migrate it. */
const test = base.extend("startMigrators", ({ server }, { onCleanup }) => {
  const children: ChildProcess[] = [];
  onCleanup(() => children.forEach((child) => child.kill("SIGKILL")));
  return async (count: number) => {
    const databaseUrl = await server.createDatabase();
    const started = Array.from({ length: count }, () => fork(entry, [databaseUrl], { execArgv: [] }));
    children.push(...started);
    await Promise.all(started.map((child) => once(child, "message")));
    return { databaseUrl, migrators: started };
  };
});

test("twenty processes migrate an empty database at once, and one killed in the middle harms nobody", async ({
  startMigrators,
}) => {
  const wanted = await readMigrations();
  const { databaseUrl, migrators } = await startMigrators(21);
  const [victim, ...others] = migrators;
  await using session = await connect(databaseUrl);
  await using watch = await connect(databaseUrl); // its own: inside a transaction pg_stat_activity stands still

  // A table of ours, not committed yet, holds the first one up inside its transaction.
  await session.query("create schema hark");
  await session.query("begin; create table hark.stats (queue text)");
  victim!.send("go");
  await eventually(
    async () =>
      (
        await watch.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
      ).rowCount === 1,
    { withinMs: 60_000, what: "a migration in its middle" },
  );
  const answers = others.map(async (child) => {
    const answer = once(child, "message");
    child.send("go");
    return (await answer)[0] as unknown;
  });
  victim!.kill("SIGKILL");
  await session.query("rollback");

  const outcomes = (await Promise.all(answers)) as { applied?: string[]; error?: string }[];
  expect(outcomes.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(outcomes.flatMap(({ applied }) => applied)).toEqual(wanted.map(({ name }) => name)); // by one, once
  const { rows } = await session.query("select version, name, hash from hark.migrations order by version");
  expect(rows).toEqual(wanted.map(({ version, name, hash }) => ({ version, name, hash })));
  await checkSchema(databaseUrl);
});

test("migrating again and again at once, in one process, changes nothing more", async ({ server }) => {
  for (let rounds = 0; rounds < 3; rounds += 1) {
    const connectionString = await server.createDatabase();
    const answers = await Promise.all(Array.from({ length: 20 }, () => migrate({ connectionString })));
    expect(answers.filter((applied) => applied.length > 0)).toHaveLength(1);
    expect(await migrate({ connectionString })).toEqual([]);
    await server.dropDatabase(connectionString);
  }
});

test("a schema that is newer than the code is refused and left alone", async ({ databaseUrl, db }) => {
  const { wanted } = await schemaVersion(databaseUrl);
  await db.pool.query("insert into hark.migrations (version, name, hash) values ($1, 'from_the_future', 'x')", [
    wanted + 1,
  ]);
  try {
    for (const attempt of [() => migrate({ connectionString: databaseUrl }), () => checkSchema(databaseUrl)]) {
      await expect(attempt).rejects.toThrow(SchemaVersionError);
      await expect(attempt).rejects.toThrow(/newer than the \d+ this code knows\. Update Hark here/);
    }
  } finally {
    await db.pool.query("delete from hark.migrations where version > $1", [wanted]);
  }
  await checkSchema(databaseUrl);
});

test("a migration that was changed since it was applied is refused by name", async ({ databaseUrl, db }) => {
  const { rows } = await db.pool.query<{ name: string; hash: string }>(
    "select name, hash from hark.migrations where version = 1",
  );
  await db.pool.query("update hark.migrations set hash = 'changed' where version = 1");
  try {
    await expect(migrate({ connectionString: databaseUrl })).rejects.toThrow(
      `Migration ${rows[0]!.name} differs from what was applied`,
    );
  } finally {
    await db.pool.query("update hark.migrations set hash = $1 where version = 1", [rows[0]!.hash]);
  }
});

test("a migration that fails leaves nothing of itself", async ({ server }) => {
  const databaseUrl = await server.createDatabase();
  await using session = await connect(databaseUrl);
  await session.query("create schema hark; create table hark.stats (mine int)"); // stands in its way, after other tables

  await expect(migrate({ connectionString: databaseUrl })).rejects.toThrow(/stats.*already exists/);

  const { rows } = await session.query(
    "select relname from pg_class where relnamespace = 'hark'::regnamespace and relkind = 'r'",
  );
  expect(rows).toEqual([{ relname: "stats" }]);
  expect(await schemaVersion(databaseUrl)).toMatchObject({ found: null });
});

async function connect(connectionString: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
