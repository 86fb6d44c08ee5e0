import { setTimeout as sleep } from "node:timers/promises";
import { migrate, openDatabase } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import pg from "pg";
import { expect, vi } from "vitest";
import { type Crash, lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { isLong, repeats, tell } from "../../support/long.ts";
import { startProxy } from "../../support/proxy.ts";
import { randomFrom, seedOfRun, shuffled } from "../../support/random.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";
import { ailments, type Patient } from "./ailments.ts";

/*
 * A campaign in which the database is the patient: it is away, restarted, read-only, locked, set
 * and changed by hand again and again, and the workers are stopped and killed. No job may be buried
 * or lose an attempt unless its worker was killed, and all must be done in the end.
 */

/** How long it takes, in ms: ten minutes with LONG=1. In the short run each ailment comes once. */
const campaignMs = isLong ? repeats({ few: 0, full: 600 }) * 1_000 : 0;
/** The long run has the default lease. */
const leaseMs = isLong ? 10_000 : 2_000;
const ailmentMs = isLong ? { least: 5_000, most: 20_000 } : { least: 2_200, most: 3_500 };
const wellMs = isLong ? 3_000 : 700;
/** Jobs that outlast a lease stand for those that an outage interrupts. */
const longJob = JSON.stringify({ ms: leaseMs * 2 });
/**
 * Jobs that are inserted before an ailment. A key runs its jobs one after the other, so it gets a
 * long one only now and then: one each time would be more work than there is time for.
 */
const jobsBefore = (ailment: number) =>
  Array.from({ length: 20 }, (_, place) => ({
    payloadJson: place % 5 === 0 ? longJob : `{"ms": ${place * 10}}`,
    ...(place % 4 === 1 && (place % 5 > 0 || ailment % 4 === 0) && { key: `key ${place % 3}` }),
  }));
vi.setConfig({ testTimeout: 300_000 + 2 * campaignMs });

test(
  "a database that is away, changed and locked again and again buries no job and uses up no attempt, and all jobs complete",
  { tags: ["FM-78", "FM-76", "KEPT-1", "OWNED-4"] },
  async ({ queue, ledger, startProcess }) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    await using server = await startEmbedded();
    await migrate({ connectionString: server.url });
    await using proxy = await startProxy(server.url);
    const db = openDatabase({ connectionString: server.url });
    const pool = new pg.Pool({ connectionString: server.url });
    pool.on("error", () => {});
    const workers: WorkerProcess[] = [];
    const killed = new Set<number>();
    const killedNames = new Set<string>();
    let started = 0;
    const start = async () => {
      started += 1;
      workers.push(
        await startProcess({
          databaseUrl: proxy.url,
          leaseMs,
          concurrency: 8,
          pollMs: 1_000,
          abortMs: 500,
          name: `w${started}`,
        }),
      );
    };
    try {
      await Promise.all([start(), start(), start()]);
      const patient: Patient = {
        server,
        pool,
        proxy,
        random,
        workers: () => workers.filter(({ isAlive }) => isAlive),
        async replace({ pid, name }) {
          killed.add(pid);
          killedNames.add(name);
          await start();
        },
      };

      const ids: bigint[] = [];
      const crashes: Crash[] = [];
      let befallen = 0;
      const startedAt = performance.now();
      const isOver = (round: number) => (isLong ? performance.now() - startedAt > campaignMs : round > 0);
      for (let round = 0; !isOver(round); round += 1) {
        for (const { name, befall } of shuffled(random, ailments)) {
          if (isOver(round)) break;
          const jobs = jobsBefore(befallen).map((job) => ({ queue, type: "test.task", ...job }));
          befallen += 1;
          ids.push(...(await insertJobs(db, jobs)));
          await sleep(wellMs);
          const from = monotonicUs();
          const ms = ailmentMs.least + random() * (ailmentMs.most - ailmentMs.least);
          await befall(patient, ms).catch((cause: unknown) => {
            throw new Error(`seed ${seed}: the database could not be ${name}`, { cause });
          });
          if (name.startsWith("stopped")) crashes.push({ from, to: monotonicUs() });
        }
      }

      await expect
        .poll(() => countJobs(db, queue).catch(() => ({})), { timeout: 60_000 + 10 * leaseMs, message: `seed ${seed}` })
        .toEqual({ completed: ids.length })
        .catch(async (error: unknown) => {
          throw new Error(`seed ${seed}: ${JSON.stringify(await unfinished(pool), null, 1)}`, { cause: error });
        });
      expect(await lostOrDoubled(db, ids), `seed ${seed}`).toEqual([]);
      expect(await unexplainedStarts(db, ledger, { crashes }), `seed ${seed}`).toEqual([]);

      const runs = new Map(ledger.of("started").map(({ id, token, pid }) => [`${id} ${token}`, pid]));
      const burnt = async () => {
        const { rows } = await pool.query<{ claim: string; name: string | null }>(
          `select job_id || ' ' || token as claim, name
             from hark.attempts left join hark.workers on workers.id = attempts.worker where ending = 'crashed'`,
        );
        return rows
          .map(({ claim, name }) => ({ claim, name, pid: runs.get(claim) }))
          .filter(({ name, pid }) => !killedNames.has(name ?? "") && !killed.has(pid ?? 0));
      };
      await expect.poll(burnt, { timeout: 4 * leaseMs, message: `seed ${seed}` }).toEqual([]);
      const endings = await pool.query<{ ending: string; count: number }>(
        "select ending, count(*)::int as count from hark.attempts group by ending order by ending",
      );
      tell(
        `seed ${seed}: ${ids.length} jobs in ${Math.round((performance.now() - startedAt) / 1_000)} s, ` +
          `${killed.size} workers killed, ${crashes.length} restarts of the server; ${JSON.stringify(endings.rows)}`,
      );
      expect(workers.filter(({ pid, isAlive }) => !isAlive && !killed.has(pid))).toEqual([]);
    } finally {
      await pool.end();
      await db.close();
    }
  },
);

/** The rows of jobs that did not end, and of the workers that should have ended them. */
async function unfinished(pool: pg.Pool): Promise<unknown> {
  const { rows } = await pool.query<{ what: unknown }>(
    `select jsonb_build_object('jobs', (select jsonb_agg(j) from hark.jobs j),
            'running', (select jsonb_agg(r) from hark.running_jobs r),
            'dead', (select jsonb_agg(d) from hark.dead_jobs d),
            'attempts', (select jsonb_agg(a) from hark.attempts a
                          where job_id in (select id from hark.jobs union all select id from hark.running_jobs)),
            'workers', (select jsonb_agg(w) from hark.workers w), 'now', now()) as what`,
  );
  return rows[0]?.what;
}
