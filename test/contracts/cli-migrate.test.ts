import { migrate, schemaVersion } from "@hark/core";
import { describe, expect } from "vitest";
import { query, run, test } from "../support/command.ts";

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
});
