import { readFileSync } from "node:fs";
import { readMigrations } from "@hark/core/internal";
import { expect, test } from "vitest";
import { lintMigration } from "./migration-lint.ts";

const root = new URL("../../", import.meta.url);

test(
  "every migration may be applied while workers of the release before it run",
  { tags: ["FM-44", "UPGRADE-3"] },
  async () => {
    for (const { version, name } of await readMigrations()) {
      const text = readFileSync(new URL(`drizzle/${name}.sql`, root), "utf8");
      expect(lintMigration(version, text), name).toEqual([]);
    }
    expect(lintMigration(1, readFileSync(new URL("drizzle/roles.sql", root), "utf8")), "roles.sql").toEqual([]);
  },
);

const expands = "-- Oldest code: version 7\n";
const outside = `${expands}-- Outside a transaction\n`;

test.for([
  ["a column that must not be null", "adding-required-field", `ALTER TABLE hark.jobs ADD COLUMN tenant text NOT NULL;`],
  ["an index that blocks writers", "require-concurrent-index-creation", `CREATE INDEX jobs_type ON hark.jobs (type);`],
  ["a column of another type", "changing-column-type", `ALTER TABLE hark.jobs ALTER COLUMN priority TYPE bigint;`],
  ["a dropped column", "ban-drop-column", `ALTER TABLE hark.jobs DROP COLUMN key;`],
  ["a renamed column", "renaming-column", `ALTER TABLE hark.jobs RENAME COLUMN key TO job_key;`],
  [
    "a check over all rows",
    "constraint-missing-not-valid",
    `ALTER TABLE hark.jobs ADD CONSTRAINT odd CHECK (id % 2 = 1);`,
  ],
] as const)("%s is found, as %s", ([, rule, statement]) => {
  expect(lintMigration(8, expands + statement)).toContain(rule);
});

test("a migration that names no oldest code, or only its own version, shuts out the release before it", () => {
  const statement = "ALTER TABLE hark.jobs ADD COLUMN IF NOT EXISTS tenant text;";
  expect(lintMigration(8, expands + statement)).toEqual([]);
  expect(lintMigration(8, statement)).toEqual(["shuts-out-the-release-before"]);
  expect(lintMigration(8, `-- Oldest code: version 8\n${statement}`)).toEqual(["shuts-out-the-release-before"]);
});

test("only statements that cannot run in a transaction may stand outside one, each by itself", () => {
  const drop = "DROP INDEX CONCURRENTLY IF EXISTS hark.jobs_type;";
  const make = "CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_type ON hark.jobs (type);";
  expect(lintMigration(8, `${outside}${drop}\n--> statement-breakpoint\n${make}`)).toEqual([]);
  expect(lintMigration(8, `${outside}${drop}\n${make}`)).toContain("outside-for-no-reason");
  expect(lintMigration(8, `${outside}ALTER TABLE hark.jobs ADD COLUMN IF NOT EXISTS tenant text;`)).toContain(
    "outside-for-no-reason",
  );
  expect(lintMigration(8, expands + make)).toContain("concurrently-in-a-transaction");
});
