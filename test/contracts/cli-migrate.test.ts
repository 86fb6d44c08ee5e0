import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate, schemaVersion } from "@hark/core";
import { readMigrations } from "@hark/core/internal";
import { describe, expect } from "vitest";
import { query, run, test as base } from "../support/command.ts";

/** A test with a folder of its own. */
const test = base.extend("folder", async ({}, { onCleanup }) => {
  const folder = await mkdtemp(join(tmpdir(), "hark-migrate-"));
  onCleanup(() => rm(folder, { recursive: true, force: true }));
  return folder;
});

describe("hark migrate", () => {
  test("applies pending migrations and lists them, and --check reports before and after", async ({ emptyUrl }) => {
    const env = { DATABASE_URL: emptyUrl };
    const before = await run(["migrate", "--check"], { env });
    expect(before).toMatchObject({ code: 1, stdout: expect.stringMatching(/^pending 0000_tables\n/) as string });

    const first = await run(["migrate", "--json"], { env });
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const { version, applied } = JSON.parse(first.stdout) as { version: number; applied: string[] };
    expect(applied).toHaveLength(version);

    expect(await run(["migrate"], { env })).toMatchObject({
      code: 0,
      stdout: `nothing to apply: the schema is at version ${version}\n`,
    });
    const after = await run(["migrate", "--check", "--json"], { env });
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toEqual({ version, wanted: version, pending: [] });
  });

  test("--check and migrating exit with 4 if the schema is newer or was changed", async ({ emptyUrl }) => {
    const env = { DATABASE_URL: emptyUrl };
    await migrate({ connectionString: emptyUrl });
    await query(emptyUrl, "update hark.migrations set hash = 'other' where version = 1");
    for (const args of [["migrate", "--check"], ["migrate"]]) {
      expect(await run(args, { env })).toMatchObject({
        code: 4,
        stderr: expect.stringContaining("differs from what was applied") as string,
      });
    }
    await query(emptyUrl, "insert into hark.migrations (version, name, hash) values (999, 'later', 'x')");
    expect(await run(["migrate", "--check"], { env })).toMatchObject({ code: 4 });
  });

  test("--sql needs no database, and its script has the same result as migrating, also from a version between", async ({
    emptyUrl,
    server,
  }) => {
    const [whole, later] = await Promise.all([run(["migrate", "--sql"]), run(["migrate", "--sql", "--from", "1"])]);
    expect(whole).toMatchObject({ code: 0, stderr: "" });
    await query(emptyUrl, whole.stdout);
    expect(await schemaVersion(emptyUrl)).toMatchObject({ pending: [] });

    const migratedUrl = await server.createDatabase();
    await migrate({ connectionString: migratedUrl });
    const ledger = "select version, name, hash from hark.migrations order by version";
    expect(await query(emptyUrl, ledger)).toEqual(await query(migratedUrl, ledger));

    expect(later.stdout).not.toContain(`CREATE TABLE "hark"."jobs"`);
    expect(later.stdout).toContain("0006_history");
  });

  test("--drizzle adds a custom migration of the project's drizzle-kit, from the version that its folder has", async ({
    emptyUrl,
    folder,
  }) => {
    const first = await run(["migrate", "--drizzle", folder, "--json"]);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const { from, to } = JSON.parse(first.stdout) as { from: number; to: number };
    expect([from, to]).toEqual([0, (await readMigrations()).length]);
    const journal = JSON.parse(await readFile(join(folder, "meta/_journal.json"), "utf8")) as {
      entries: { tag: string }[];
    };
    expect(journal.entries).toMatchObject([{ tag: `0000_hark_${to}` }]);

    const script = await readFile(join(folder, `0000_hark_${to}.sql`), "utf8");
    for (const statement of script.split("--> statement-breakpoint")) await query(emptyUrl, statement);
    expect(await schemaVersion(emptyUrl)).toMatchObject({ found: to, pending: [] });

    const again = await run(["migrate", "--drizzle", folder]);
    expect(again).toMatchObject({
      code: 0,
      stdout: `nothing to write: ${folder} has Hark's schema at version ${to}\n`,
    });
    await writeFile(join(folder, `0000_hark_${to}.sql`), `-- Hark's schema, from version 0 to 2. Older.\n`);
    const upgrade = await run(["migrate", "--drizzle", folder]);
    expect(upgrade.stdout).toMatch(/^wrote .*0001_hark_\d+\.sql, from version 2 to/);
  });

  test("--drizzle says what to do in a project without drizzle-kit", async ({ folder }) => {
    const ended = await run(["migrate", "--drizzle", "drizzle"], { cwd: folder });
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^hark: drizzle-kit is not installed for .*or print the SQL with --sql\.\n$/,
      ) as string,
    });
  });
});
