import { getJob } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../support/explain.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, insertJobs } from "../support/jobs.ts";

const leaseMs = 2_000;

test("the jobs of a worker killed by SIGKILL restart elsewhere within its lease, each attempt written down as crashed", async ({
  db,
  queue,
  ledger,
  startProcess,
}) => {
  const victim = await startProcess({ leaseMs, concurrency: 20, name: "victim" });
  const ids = await insertJobs(
    db,
    Array.from({ length: 20 }, () => ({ queue, type: "test.task", payloadJson: '{"ms": 60000}' })),
  );
  await ledger.until("started", 20, 60_000);
  await startProcess({ leaseMs, concurrency: 20, name: "heir" });

  victim.kill("SIGKILL");
  const killedAt = Number(process.hrtime.bigint() / 1_000n);

  const starts = await ledger.until("started", 40, 60_000);
  const restarts = starts.filter(({ worker }) => worker === "heir");
  expect(new Set(restarts.map(({ id }) => id)).size).toBe(20);
  const slowestMs = Math.max(...restarts.map(({ at }) => at - killedAt)) / 1_000;
  expect(slowestMs).toBeLessThan(leaseMs + 5_000); // the target is 1.5 s after the lease; this machine may be busy
  for (const id of ids) {
    expect(await getJob(db, id)).toMatchObject({
      state: "running",
      attempt: 2,
      crashCount: 1,
      attempts: [{ ending: "crashed", attempt: 1, token: ledger.of("started", id)[0]!.token }],
    });
  }
  expect(await unexplainedStarts(db, ledger)).toEqual([]);
});

test("workers killed under load lose no job and complete none twice", async ({ db, queue, ledger, startProcess }) => {
  const payloads = ['{"ms": 20}', '{"ms": 150}', '{"does": "fail", "times": 1}', '{"does": "block", "ms": 30}'];
  const ids: bigint[] = [];
  await startProcess({ leaseMs, concurrency: 5, name: "survivor" });

  for (let kills = 1; kills <= 3; kills += 1) {
    const victim = await startProcess({ leaseMs, concurrency: 5, name: `victim ${kills}` });
    const jobs = Array.from({ length: 100 }, (_, place) => ({
      queue,
      type: "test.task",
      payloadJson: payloads[place % payloads.length]!,
      maxAttempts: 20,
      ...(place % 3 === 0 && { key: `key ${place % 7}` }),
    }));
    ids.push(...(await insertJobs(db, jobs)));
    await eventually(() => ledger.of("started").filter(({ pid }) => pid === victim.pid).length >= kills * 3, {
      withinMs: 60_000,
      what: "starts by the victim",
      everyMs: 10,
    });
    victim.kill("SIGKILL");
    await victim.exited;
  }

  await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: ids.length });
  expect(await lostOrDoubled(db, ids)).toEqual([]);
  expect(await unexplainedStarts(db, ledger)).toEqual([]);
});
