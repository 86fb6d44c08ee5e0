import { setTimeout as sleep } from "node:timers/promises";
import { getJob } from "@hark/core";
import { expect } from "vitest";
import { unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import type { Ledger } from "../../support/ledger.ts";
import { startProxy } from "../../support/proxy.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";

const leaseMs = 2_000;
/** Longer than a lease, so that each outage ends all of them. */
const awayMs = leaseMs + 1_000;
const rounds = 3;

/** Long jobs, which each outage interrupts, and one that ignores its signal. */
const payloads = ['{"ms": 2500}', '{"ms": 2500}', '{"ms": 2500}', '{"does": "ignore", "ms": 4000}', '{"ms": 100}'];

async function untilAnyStarted(ledger: Ledger, jobs: number): Promise<void> {
  await ledger.until("started", jobs, 60_000);
}

const outages: {
  named: string;
  away: (proxies: Awaited<ReturnType<typeof startProxy>>[], processes: WorkerProcess[]) => Promise<void>;
}[] = [
  {
    named: "the database answers nothing",
    async away(proxies) {
      await Promise.all(proxies.map((proxy) => proxy.set("hole")));
      await sleep(awayMs);
      await Promise.all(proxies.map((proxy) => proxy.set("cut")));
      await Promise.all(proxies.map((proxy) => proxy.set("ok")));
    },
  },
  {
    named: "the database refuses connections",
    async away(proxies) {
      await Promise.all(proxies.map((proxy) => proxy.set("refuse")));
      await sleep(awayMs);
      await Promise.all(proxies.map((proxy) => proxy.set("ok")));
    },
  },
  {
    named: "all workers stand still",
    async away(_, processes) {
      for (const process of processes) process.kill("SIGSTOP");
      await sleep(awayMs);
      for (const process of processes) process.kill("SIGCONT");
    },
  },
];

test.for(outages)(
  "$named for longer than a lease, again and again: no job loses an attempt, has a crash or is buried",
  { tags: ["FM-76", "KEPT-1"] },
  async ({ away }, { db, databaseUrl, queue, ledger, startProcess }) => {
    const proxies = [await startProxy(databaseUrl), await startProxy(databaseUrl)];
    try {
      const processes = await Promise.all(
        proxies.map(({ url }, place) =>
          startProcess({ leaseMs, databaseUrl: url, concurrency: 5, name: `${place}`, abortMs: 500 }),
        ),
      );
      const jobs = payloads.map((payloadJson) => ({ queue, type: "test.task", payloadJson, maxAttempts: 3 }));
      const ids = await insertJobs(db, jobs);
      for (let round = 1; round <= rounds; round += 1) {
        await untilAnyStarted(ledger, round);
        await away(proxies, processes);
        await sleep(leaseMs / 2);
      }

      await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: ids.length });
      for (const id of ids) {
        const { attempt, crashCount, attempts } = (await getJob(db, id))!;
        expect([attempt, crashCount]).toEqual([1, 0]);
        expect(attempts.map(({ ending }) => ending)).not.toContain("crashed");
      }
      expect(await unexplainedStarts(db, ledger)).toEqual([]);
    } finally {
      await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
    }
  },
);
