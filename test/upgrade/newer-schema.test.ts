import {
  checkSchema,
  createRoles,
  defineJob,
  migrate,
  openDatabase,
  SchemaVersionError,
  schemaVersion,
  silentLogger,
} from "@hark/core";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import { test as base } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/**
 * Migrates the database as a later version of Hark does, with the oldest code that it lets in. The
 * end of the test undoes it.
 */
const test = base.extend("migrateLater", ({ databaseUrl, db }, { onCleanup }) => {
  onCleanup(async () => void (await db.pool.query("delete from hark.migrations where name = 'from_later'")));
  return async (oldestCode: (ours: number) => number | null) => {
    const { wanted } = await schemaVersion(databaseUrl);
    await db.pool.query(
      "insert into hark.migrations (version, name, hash, oldest_code) values ($1, 'from_later', 'x', $2)",
      [wanted + 1, oldestCode(wanted)],
    );
    return { ours: wanted, theirs: wanted + 1 };
  };
});

test(
  "code runs with a newer schema that lets it in: it starts, works, and finds nothing to migrate",
  { tags: ["FM-44"] },
  async ({ databaseUrl, db, producer, queue, startWorker, migrateLater }) => {
    const { ours, theirs } = await migrateLater((version) => version);

    await checkSchema(databaseUrl);
    expect(await migrate({ connectionString: databaseUrl })).toEqual([]);
    expect(await schemaVersion(databaseUrl)).toEqual({ found: theirs, wanted: ours, pending: [] });

    const job = defineJob("test.plain", { queue });
    const worker = await startWorker([implement(job, () => {})]);
    const { id } = await producer.enqueue(job, {});
    await untilState(db, id, "completed");
    expect(worker.health()).toMatchObject({ isHealthy: true });
  },
);

test.for([
  ["lets in newer code only", (ours: number) => ours + 1],
  ["does not say which code it lets in", () => null],
] as const)(
  "code that a newer schema shuts out refuses to start, migrate and grant: it %s",
  { tags: ["FM-43", "FM-44", "UPGRADE-2"] },
  async ([, oldestCode], { databaseUrl, queue, migrateLater }) => {
    const { ours, theirs } = await migrateLater(oldestCode);
    const worker = createWorker({
      connectionString: databaseUrl,
      handlers: [implement(defineJob("test.plain", { queue }), () => {})],
      logger: silentLogger,
    });

    for (const attempt of [
      () => checkSchema(databaseUrl),
      () => migrate({ connectionString: databaseUrl }),
      () => createRoles({ connectionString: databaseUrl }),
      () => worker.start(),
    ]) {
      await expect(attempt).rejects.toThrow(SchemaVersionError);
      await expect(attempt).rejects.toMatchObject({ facts: { found: theirs, wanted: ours, oldestCode: theirs } });
      await expect(attempt).rejects.toThrow(`lets in code from version ${theirs} on. Update Hark here.`);
    }
  },
);

test("a ledger without the column of the oldest code gets it when the schema is migrated", async ({ server }) => {
  const connectionString = await server.createDatabase();
  await query(
    connectionString,
    `create schema hark;
     create table hark.migrations (
       version integer primary key, name text not null, hash text not null, applied_at timestamptz not null default now())`,
  );
  expect(await schemaVersion(connectionString)).toMatchObject({ found: null });

  await migrate({ connectionString });

  await checkSchema(connectionString);
  expect(
    await query(connectionString, "select version from hark.migrations where oldest_code is distinct from version"),
  ).toEqual([]);
});

async function query(connectionString: string, text: string): Promise<unknown[]> {
  const db = openDatabase({ connectionString });
  try {
    return (await db.query({ text, values: [] })).rows;
  } finally {
    await db.close();
  }
}
