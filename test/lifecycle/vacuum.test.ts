import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test } from "../support/logins.ts";
import { untilVacuumed } from "../support/vacuums.ts";

/* test/proof/faults/vacuum.test.ts shows that a busy worker does so in time. */

test("hark_worker vacuums its tables where PostgreSQL can grant that, and leaves them to autovacuum elsewhere", async ({
  db,
  logIn,
}) => {
  const { client } = await logIn("hark_worker");
  const warnings: (string | undefined)[] = [];
  client.on("notice", ({ message }) => void warnings.push(message));
  await statements.vacuumPassedTables(client);

  const { rows } = await db.pool.query<{ version: string }>("select current_setting('server_version_num') as version");
  if (Number(rows[0]!.version) < 170_000) {
    expect(warnings).toHaveLength(3);
    for (const warning of warnings) expect(warning).toMatch(/permission denied to vacuum/);
  } else {
    expect(warnings).toEqual([]);
    for (const table of ["jobs", "running_jobs", "unique_keys"]) await untilVacuumed(db, table);
  }
});
