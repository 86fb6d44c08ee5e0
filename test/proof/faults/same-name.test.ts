import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";

const leaseMs = 2_500;

// FM-22: a name is a label for people. Each process draws its own identity, so that none renews or
// ends another's lease.
test(
  "of five workers with one name and host, one that dies or pauses does not affect the others",
  { tags: ["FM-22", "OWNED-4"] },
  async ({ db, queue, ledger, startProcess }) => {
    const options = { name: queue, leaseMs, concurrency: 4 } as const;
    const workers = await Promise.all(Array.from({ length: 5 }, () => startProcess(options)));
    const [dying, pausing] = workers;
    const alive = async () => {
      const { rows } = await db.pool.query<{ id: string; pid: number }>(
        "select id, pid from hark.workers where name = $1 and dead_at is null",
        [queue],
      );
      return new Map(rows.map(({ id, pid }) => [pid, id]));
    };
    const before = await alive();
    expect(before.size).toBe(5);
    expect(new Set(before.values()).size).toBe(5);

    const ids = await insertJobs(
      db,
      Array.from({ length: 300 }, (_, place) => ({
        queue,
        type: "test.task",
        payloadJson: place % 2 ? '{"ms": 300}' : '{"does": "ignore", "ms": 150}',
        maxAttempts: 10,
        ...(place % 5 === 0 && { key: `key ${place % 3}` }),
      })),
    );
    const hasBegun = () =>
      [dying, pausing].every((worker) => ledger.of("started").some(({ pid }) => pid === worker!.pid));
    await eventually(hasBegun, { withinMs: 60_000, what: "starts by both", everyMs: 20 });
    dying!.kill("SIGKILL");
    pausing!.kill("SIGSTOP");
    await eventually(async () => (await alive()).size === 3, { withinMs: 60_000, what: "two declared dead" });
    pausing!.kill("SIGCONT");

    await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: ids.length });
    expect(await lostOrDoubled(db, ids)).toEqual([]);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
    await eventually(async () => (await alive()).has(pausing!.pid), { withinMs: 60_000, what: "its new identity" });
    const after = await alive();
    expect(after.get(pausing!.pid)).not.toBe(before.get(pausing!.pid));
    for (const { pid } of workers.slice(2)) expect(after.get(pid)).toBe(before.get(pid)); // the other leases are unchanged
  },
);
