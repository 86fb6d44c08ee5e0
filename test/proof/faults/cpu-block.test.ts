import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob, insertJobs, untilState } from "../../support/jobs.ts";
import { isLong, tell } from "../../support/long.ts";

const leaseMs = 3_000;

test(
  "a worker whose event loop is blocked for longer than its lease keeps all its jobs",
  { tags: ["FM-18", "OWNED-6"] },
  async ({ db, queue, ledger, startProcess }) => {
    const [lease, blockMs] = isLong ? [{}, 30_000] : [{ leaseMs }, 2 * leaseMs]; // the long mode uses the default lease of 10 s
    await startProcess({ ...lease, name: "watcher", queue: `${queue}-other` }); // it could rescue the jobs, but runs none
    await startProcess({ ...lease, name: "blocked", concurrency: 10 });
    const ids = await insertJobs(
      db,
      Array.from({ length: 9 }, () => ({ queue, type: "test.task", payloadJson: `{"ms": ${blockMs / 2}}` })),
    );
    await ledger.until("started", 9, 60_000);

    const payloadJson = JSON.stringify({ does: "block", ms: blockMs });
    const blocking = await insertJob(db, { queue, type: "test.task", payloadJson });
    await ledger.until("started", 10, 60_000);

    for (const id of [...ids, blocking]) {
      const done = await untilState(db, id, "completed", { withinMs: 60_000 + blockMs });
      expect(done).toMatchObject({ attempt: 1, crashCount: 0, attempts: [] });
      expect(ledger.of("started", id)).toHaveLength(1);
    }
    expect(ledger.of("aborted")).toEqual([]);
    const [started, ended] = [ledger.of("started", blocking)[0]!, ledger.of("ended", blocking)[0]!];
    expect((ended.at - started.at) / 1_000).toBeGreaterThanOrEqual(blockMs);
    tell(`10 jobs survived ${blockMs} ms of a blocked event loop`);
  },
);

test(
  "a worker keeps its lease while all connections of its pool are blocked",
  { tags: ["FM-17", "FM-19", "OWNED-6"] },
  async ({ db, queue, ledger, startProcess }) => {
    await startProcess({ leaseMs, name: queue });
    const identity = async () =>
      (await db.pool.query("select id from hark.workers where name = $1 and dead_at is null", [queue])).rows;
    const before = await identity();
    const id = await insertJob(db, { queue, type: "test.task", payloadJson: JSON.stringify({ ms: 3 * leaseMs }) });
    await ledger.until("started", 1, 60_000);

    // All statements of the pool (claims, promotions, surveys) wait for this lock. The table of
    // leases stays free.
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
  },
);
