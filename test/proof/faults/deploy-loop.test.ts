import { setTimeout as sleep } from "node:timers/promises";
import { getJob } from "@hark/core";
import { expect, vi } from "vitest";
import { lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import { percentile, repeats, tell } from "../../support/long.ts";
import { pick, randomFrom, seedOfRun } from "../../support/random.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";

const restarts = repeats({ few: 6, full: 500 });
/** How many sequences of workers run in parallel. In each, a worker is replaced by the next. */
const lanes = 3;
vi.setConfig({ testTimeout: 240_000 + restarts * 5_000 });

const options = { concurrency: 6, drainMs: 150, abortMs: 300 } as const;
/**
 * What a stop may take, in ms: drain, abort, and 5 s for its last few statements on a busy machine.
 */
const stopMs = options.drainMs + options.abortMs + 5_000;
/** Most end within the drain, some must be aborted, and a few ignore the abort. */
const payloads = ['{"ms": 10}', '{"ms": 60}', '{"ms": 700}', '{"ms": 20}', '{"does": "ignore", "ms": 700}'];

test(
  `${restarts} SIGTERMs at random moments under load cost no attempt and lose no job, and each process ends by itself`,
  { tags: ["FM-25", "FM-51", "KEPT-1", "STOP-2"] },
  async ({ db, queue, ledger, startProcess }) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    const ids: bigint[] = [];
    const stops: { ms: number; jobs: number }[] = [];
    let left = restarts;

    async function stop(worker: WorkerProcess): Promise<void> {
      const { pid } = worker;
      worker.kill("SIGTERM");
      const toldAt = performance.now();
      expect({ seed, exit: await worker.exited, log: worker.log }).toMatchObject({ exit: 0 });
      const ms = performance.now() - toldAt;
      stops.push({ ms, jobs: ledger.of("started").filter((entry) => entry.pid === pid).length });
    }

    async function lane(place: number): Promise<void> {
      let serving = await startProcess(options);
      while (left > 0) {
        left -= 1;
        const next = await startProcess({ ...options, awaitReady: false });
        await next.born;
        if (random() < 1 / 6) {
          await sleep(random() * 300); // while it starts
          await stop(next);
          continue;
        }
        const jobs = Array.from({ length: 30 }, (_, job) => ({
          queue,
          type: "test.task",
          payloadJson: pick(random, payloads),
          maxAttempts: 1, // one lost attempt would bury the job
          ...(job % 6 === 0 && { key: `lane ${place}` }),
        }));
        ids.push(...(await insertJobs(db, jobs)));
        await sleep(random() * 1_000);
        await stop(serving);
        serving = next;
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, place) => lane(place)));

    await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: ids.length });
    expect(await lostOrDoubled(db, ids)).toEqual([]);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);

    // Attempts equal handler starts minus attempts that were handed back.
    let handedBack = 0;
    const starts = Map.groupBy(ledger.of("started"), ({ id }) => id);
    for (const id of ids) {
      const { attempt, attempts } = (await getJob(db, id))!;
      expect(attempts.filter(({ ending }) => ending !== "interrupted")).toEqual([]);
      const tokens = new Set(attempts.map(({ token }) => token));
      expect(starts.get(String(id))!.filter(({ token }) => !tokens.has(token))).toHaveLength(1);
      expect(attempt).toBe(1);
      handedBack += attempts.length;
    }
    expect(handedBack).toBeGreaterThan(0); // otherwise the test shows nothing

    const idle = stops.filter(({ jobs }) => jobs === 0).length;
    const times = stops.map(({ ms }) => ms);
    tell(
      `${stops.length} SIGTERMs (${idle} before the first job), ${ids.length} jobs, ${handedBack} attempts handed back; to the exit`,
      times,
    );
    expect(percentile(times, 1)).toBeLessThanOrEqual(stopMs);
  },
);
