import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { insertJob, untilState } from "../support/jobs.ts";

const leaseMs = 3_000;

test("a handler that keeps the event loop busy for twice the lease is executed once", async ({
  db,
  queue,
  ledger,
  startProcess,
}) => {
  await startProcess({ leaseMs, name: "one" });
  await startProcess({ leaseMs, name: "other" });

  const payloadJson = JSON.stringify({ does: "block", ms: 2 * leaseMs });
  const id = await insertJob(db, { queue, type: "test.task", payloadJson });

  expect(await untilState(db, id, "completed", { withinMs: 60_000 })).toMatchObject({
    attempt: 1,
    crashCount: 0,
    attempts: [],
  });
  expect(ledger.read().map(({ event }) => event)).toEqual(["started", "ended"]);
});

test("a worker whose every pool connection is held loses no lease", async ({ db, queue, ledger, startProcess }) => {
  await startProcess({ leaseMs, name: queue });
  const identity = async () =>
    (await db.pool.query("select id from hark.workers where name = $1 and dead_at is null", [queue])).rows;
  const before = await identity();
  const id = await insertJob(db, { queue, type: "test.task", payloadJson: JSON.stringify({ ms: 3 * leaseMs }) });
  await ledger.until("started", 1, 60_000);

  // Claims, promotions, surveys: all of the pool's statements hang on this lock. The lease's table stays free.
  const locker = await db.pool.connect();
  await locker.query("begin; lock table hark.jobs, hark.running_jobs in access exclusive mode");
  await eventually(
    async () =>
      (
        await db.pool.query(
          "select from pg_stat_activity where application_name = 'hark worker' and wait_event_type = 'Lock'",
        )
      ).rowCount! >= 1,
    { withinMs: 60_000, what: "a statement that hangs" },
  );
  await new Promise((resolve) => setTimeout(resolve, 2 * leaseMs));
  await locker.query("rollback");
  locker.release();

  expect(await untilState(db, id, "completed", { withinMs: 60_000 })).toMatchObject({ attempt: 1 });
  expect(await identity()).toEqual(before);
  expect(ledger.of("aborted")).toEqual([]);
});
