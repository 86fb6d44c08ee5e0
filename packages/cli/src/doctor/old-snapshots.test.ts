import type { Database } from "@hark/core";
import { expect, test } from "vitest";
import type { Target } from "./check.ts";
import { oldSnapshotsCheck } from "./old-snapshots.ts";

const nobody = { horizon: "700", application: null, role: null, state: null, command: null, held_ms: null };
const dead = { dead_jobs: 120_000, dead_running_jobs: 7 };
const session = {
  ...{
    ...nobody,
    ...dead,
    kind: "session",
    id: "41",
    application: "report",
    role: "app",
    state: "idle in transaction",
  },
  ...{ held_ms: 3_600_000, remedy: "select pg_terminate_backend(41)" },
};
const slot = {
  ...nobody,
  ...dead,
  kind: "replication slot",
  id: "gone",
  remedy: "select pg_drop_replication_slot('gone')",
};

/**
 * A database that returns these rows. The query itself is tested in
 * test/proof/faults/old-snapshot-warning.test.ts.
 */
const target = (rows: Record<string, unknown>[]) =>
  ({ db: { query: async () => ({ rows }) } as unknown as Database }) as Target;

test("the warning names what holds vacuum back, its age, the dead rows and the remedy", async () => {
  const finding = await oldSnapshotsCheck.run(target([session, { ...slot, state: "inactive" }]));

  expect(finding.status).toBe("warn");
  expect(finding.message).toBe(
    'vacuum is held back by session 41 (application "report", role app, idle in transaction, for 60 min); ' +
      "replication slot gone (inactive, since an unknown time); dead rows: 120000 in jobs, 7 in running_jobs",
  );
  expect(finding.advice).toContain("select pg_terminate_backend(41)");
});

test("the warning names the first holders and counts the others", async () => {
  const { message } = await oldSnapshotsCheck.run(
    target([41, 42, 43, 44, 45].map((id) => ({ ...session, id: `${id}` }))),
  );
  expect(message).toMatch(/session 43 \(.*\); 2 more; dead rows/);
});

test("a slot in use gives no warning while it is unknown how long it has held the same horizon", async () => {
  expect((await oldSnapshotsCheck.run(target([{ ...slot, state: "active" }]))).status).toBe("ok");
});
