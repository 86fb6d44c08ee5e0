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
 * A database whose holders are these rows; what the server answers is tested in
 * test/proof/faults/old-snapshot-warning.test.ts.
 */
const target = (rows: Record<string, unknown>[]) =>
  ({ db: { query: async () => ({ rows }) } as unknown as Database }) as Target;

test("what holds vacuum back is named with its age, the dead rows and what ends it", async () => {
  const finding = await oldSnapshotsCheck.run(target([session, { ...slot, state: "inactive" }]));

  expect(finding.status).toBe("warn");
  expect(finding.message).toBe(
    'vacuum is held back by session 41 (application "report", role app, idle in transaction, for 60 min); ' +
      "replication slot gone (inactive, since an unknown time); dead rows: 120000 in jobs, 7 in running_jobs",
  );
  expect(finding.advice).toContain("select pg_terminate_backend(41)");
});

test("of many holders the first are named, and the others counted", async () => {
  const { message } = await oldSnapshotsCheck.run(
    target([41, 42, 43, 44, 45].map((id) => ({ ...session, id: `${id}` }))),
  );
  expect(message).toMatch(/session 43 \(.*\); 2 more; dead rows/);
});

test("a slot in use is in order as long as nobody knows for how long it has held the same horizon", async () => {
  expect((await oldSnapshotsCheck.run(target([{ ...slot, state: "active" }]))).status).toBe("ok");
});
