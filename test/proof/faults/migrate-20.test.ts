import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { checkSchema, migrate, SchemaVersionError, schemaVersion } from "@hark/core";
import { readMigrations } from "@hark/core/internal";
import pg from "pg";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test as base } from "../../support/fixtures.ts";
import { repeats, tell } from "../../support/long.ts";

const entry = fileURLToPath(new URL("../../support/migrate-main.ts", import.meta.url));

const boots = repeats({ few: 2, full: 100 });
vi.setConfig({ testTimeout: 240_000 + boots * 20_000 });

/** Starts processes that migrate the databases they are sent. */
const test = base.extend("startMigrators", ({}, { onCleanup }) => {
  const children: ChildProcess[] = [];
  onCleanup(() => children.forEach((child) => child.kill("SIGKILL")));
  return async (count: number) => {
    const started = Array.from({ length: count }, () => fork(entry, { execArgv: [] }));
    children.push(...started);
    await Promise.all(started.map((child) => once(child, "message")));
    return started;
  };
});

/** Lets all processes migrate a database at once. Returns the answer of each. */
function migrateAtOnce(migrators: readonly ChildProcess[], databaseUrl: string): Promise<Answer[]> {
  return Promise.all(
    migrators.map(async (child) => {
      const answer = once(child, "message", { signal: AbortSignal.timeout(120_000) });
      child.send(databaseUrl);
      return (await answer)[0] as Answer;
    }),
  );
}

interface Answer {
  applied?: string[];
  error?: string;
}

/** Fails unless no process met an error and exactly one of them applied every migration. */
async function expectOneMigration(answers: readonly Answer[], databaseUrl: string): Promise<void> {
  const wanted = await readMigrations();
  expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(answers.map(({ applied }) => applied).filter((names) => names!.length > 0)).toEqual([
    wanted.map(({ name }) => name),
  ]);
  await using session = await connect(databaseUrl);
  const { rows } = await session.query("select version, name, hash from hark.migrations order by version");
  expect(rows).toEqual(wanted.map(({ version, name, hash }) => ({ version, name, hash })));
  await checkSchema(databaseUrl);
}

test(
  "twenty processes migrate an empty database at once, and killing one in the middle does no harm",
  { tags: ["FM-43"] },
  async ({ server, startMigrators }) => {
    const databaseUrl = await server.createDatabase();
    const [victim, ...others] = await startMigrators(21);
    await using session = await connect(databaseUrl);
    await using watch = await connect(databaseUrl); // a session of its own: inside a transaction pg_stat_activity does not change

    // An uncommitted table blocks the first process inside its transaction.
    await session.query("create schema hark");
    await session.query("begin; create table hark.stats (queue text)");
    victim!.send(databaseUrl);
    await eventually(
      async () =>
        (
          await watch.query(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
          )
        ).rowCount === 1,
      { withinMs: 60_000, what: "a migration that waits" },
    );
    const answers = migrateAtOnce(others, databaseUrl);
    victim!.kill("SIGKILL");
    await session.query("rollback");

    await expectOneMigration(await answers, databaseUrl);
  },
);

test(
  `twenty processes that start at once on an empty database meet no error, ${boots} times`,
  { tags: ["FM-43"] },
  async ({ server, startMigrators }) => {
    const migrators = await startMigrators(20);
    const times: number[] = [];
    const first = new Set<number>();
    for (let boot = 0; boot < boots; boot += 1) {
      const databaseUrl = await server.createDatabase();
      const startedAt = performance.now();
      const answers = await migrateAtOnce(migrators, databaseUrl);
      times.push(performance.now() - startedAt);

      await expectOneMigration(answers, databaseUrl);
      first.add(answers.findIndex(({ applied }) => applied!.length > 0));
      await server.dropDatabase(databaseUrl);
    }
    tell(`${boots} first starts of 20 processes, ${first.size} of which were the first; until the last is done`, times);
  },
);

test("many more migrations at once in one process change nothing", { tags: ["FM-43"] }, async ({ server }) => {
  for (let rounds = 0; rounds < 3; rounds += 1) {
    const connectionString = await server.createDatabase();
    const answers = await Promise.all(Array.from({ length: 20 }, () => migrate({ connectionString })));
    expect(answers.filter((applied) => applied.length > 0)).toHaveLength(1);
    expect(await migrate({ connectionString })).toEqual([]);
    await server.dropDatabase(connectionString);
  }
});

test(
  "a schema that is newer than the code is refused and left alone",
  { tags: ["FM-43"] },
  async ({ databaseUrl, db }) => {
    const { wanted } = await schemaVersion(databaseUrl);
    await db.pool.query("insert into hark.migrations (version, name, hash) values ($1, 'from_the_future', 'x')", [
      wanted + 1,
    ]);
    try {
      for (const attempt of [() => migrate({ connectionString: databaseUrl }), () => checkSchema(databaseUrl)]) {
        await expect(attempt).rejects.toThrow(SchemaVersionError);
        await expect(attempt).rejects.toThrow(
          /newer than the \d+ this code knows, and lets in code from version \d+ on/,
        );
      }
    } finally {
      await db.pool.query("delete from hark.migrations where version > $1", [wanted]);
    }
    await checkSchema(databaseUrl);
  },
);

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

test("a migration that fails leaves nothing of itself", { tags: ["FM-44"] }, async ({ server }) => {
  const databaseUrl = await server.createDatabase();
  await using session = await connect(databaseUrl);
  await session.query("create schema hark; create view hark.stats as select 1 as mine"); // makes the migration fail after it has made tables

  await expect(migrate({ connectionString: databaseUrl })).rejects.toThrow(/stats.*already exists/);

  const { rows } = await session.query(
    "select relname from pg_class where relnamespace = 'hark'::regnamespace and relkind in ('r', 'v')",
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
