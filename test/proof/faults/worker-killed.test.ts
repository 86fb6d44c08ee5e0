import { setTimeout as sleep } from "node:timers/promises";
import { getJob } from "@hark/core";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import { Ledger, monotonicUs } from "../../support/ledger.ts";
import { isLong, percentile, repeats, tell } from "../../support/long.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";

const leaseMs = 2_000;

const kills = repeats({ few: 3, full: 100 });
/** Kills in parallel, each in its own queue. Most of a round is waiting for a lease to run out. */
const lanes = Math.min(kills, 8);
const jobsOfKill = 50;
vi.setConfig({ testTimeout: 240_000 + kills * 10_000 });

test(
  `the jobs of a worker killed by SIGKILL restart elsewhere within its lease, and each attempt is recorded as crashed, ${kills} times`,
  { tags: ["FM-15", "OWNED-4"] },
  async ({ db, queue, startProcess }) => {
    // The long mode tests the default lease on an idle machine.
    const [lease, boundMs] = isLong ? [{}, 10_000 + 1_500] : [{ leaseMs }, leaseMs + 5_000];
    const payloadJson = '{"does": "hold", "ms": 600000, "times": 1}'; // ends at once on its second attempt
    const restartMs: number[] = [];
    const slowestMs: number[] = [];
    let left = kills;

    /** One kill after the other. The heir of one is the victim of the next. */
    async function lane(name: string): Promise<void> {
      const ledger = await Ledger.create(name);
      await using cleanUp = new AsyncDisposableStack();
      cleanUp.defer(() => ledger.remove());
      const start = (worker: string): Promise<WorkerProcess> =>
        startProcess({ ...lease, queue: name, ledgerFile: ledger.file, concurrency: jobsOfKill, name: worker });
      const startsOf = (ids: ReadonlySet<string>, { pid }: WorkerProcess) =>
        ledger.of("started").filter((entry) => ids.has(entry.id) && entry.pid === pid);
      const untilStarted = (ids: ReadonlySet<string>, by: WorkerProcess, what: string) =>
        eventually(
          () => {
            const starts = startsOf(ids, by);
            return starts.length >= jobsOfKill ? starts : undefined;
          },
          { withinMs: 60_000, what, everyMs: 20 },
        );

      let victim = await start(`${name} 0`);
      for (let round = 1; left > 0; round += 1) {
        left -= 1;
        const jobs = Array.from({ length: jobsOfKill }, () => ({ queue: name, type: "test.task", payloadJson }));
        const inserted = await insertJobs(db, jobs);
        const ids = new Set(inserted.map(String));
        const firsts = await untilStarted(ids, victim, "starts by the victim");
        const tokens = new Map(firsts.map(({ id, token }) => [id, token]));
        const heir = await start(`${name} ${round}`);
        await sleep((Math.random() * 10_000) / 3); // at any moment between two renewals

        victim.kill("SIGKILL");
        const killedAt = monotonicUs();
        const restarts = await untilStarted(ids, heir, "restarts by the heir");

        const times = restarts.map(({ at }) => (at - killedAt) / 1_000);
        restartMs.push(...times);
        slowestMs.push(Math.max(...times));
        await expect.poll(() => countJobs(db, name), { timeout: 60_000 }).toEqual({ completed: jobsOfKill * round });
        for (const id of inserted) {
          expect(await getJob(db, id)).toMatchObject({
            state: "completed",
            attempt: 2,
            crashCount: 1,
            attempts: [
              { ending: "crashed", attempt: 1, token: tokens.get(String(id)) },
              { ending: "completed", attempt: 2 },
            ],
          });
        }
        expect(ledger.of("started").filter(({ id }) => ids.has(id))).toHaveLength(2 * jobsOfKill);
        expect(await lostOrDoubled(db, inserted)).toEqual([]);
        victim = heir;
      }
      expect(await unexplainedStarts(db, ledger)).toEqual([]);
      await victim.end();
    }
    await Promise.all(Array.from({ length: lanes }, (_, place) => lane(`${queue}-${place}`)));

    expect(restartMs).toHaveLength(kills * jobsOfKill);
    tell(
      `${kills} workers killed with ${jobsOfKill} running jobs each; from the kill to the restart of a job`,
      restartMs,
    );
    tell("to the restart of the last job of a kill", slowestMs);
    expect(percentile(restartMs, 0.99)).toBeLessThanOrEqual(boundMs);
  },
);

test(
  "when workers are killed under load, no job is lost or completed twice",
  { tags: ["FM-15", "FM-41", "KEPT-1"] },
  async ({ db, queue, ledger, startProcess }) => {
    const payloads = ['{"ms": 20}', '{"ms": 150}', '{"does": "fail", "times": 1}', '{"does": "block", "ms": 30}'];
    const ids: bigint[] = [];
    await startProcess({ leaseMs, concurrency: 5, name: "survivor" });

    for (let kill = 1; kill <= 3; kill += 1) {
      const victim = await startProcess({ leaseMs, concurrency: 5, name: `victim ${kill}` });
      const jobs = Array.from({ length: 100 }, (_, place) => ({
        queue,
        type: "test.task",
        payloadJson: payloads[place % payloads.length]!,
        maxAttempts: 20,
        ...(place % 3 === 0 && { key: `key ${place % 7}` }),
      }));
      ids.push(...(await insertJobs(db, jobs)));
      await eventually(() => ledger.of("started").filter(({ pid }) => pid === victim.pid).length >= kill * 3, {
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
  },
);
