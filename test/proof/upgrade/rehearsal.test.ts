import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import { expect } from "vitest";
import { test as base } from "../../support/fixtures.ts";
import { countJobs } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { tell } from "../../support/long.ts";
import { task } from "../../support/task.ts";
import { startWorkerProcess, type WorkerProcess } from "../../support/worker-process.ts";
import { lintMigration } from "../../upgrade/migration-lint.ts";
import { commitOfThisSchema, installRelease, type LaterMigration, type Release } from "./releases.ts";

/** Jobs a second, one insert each (the figure in FM-44). */
const jobsPerSecond = 200;

/** Jobs that end in each phase of the rehearsal. */
const jobsAPhase = 300;

/** What the next release may bring: each kind of change that expands a schema. */
const expanding: readonly LaterMigration[] = [
  {
    name: "0007_tenants",
    text: `-- Oldest code: version 7
ALTER TABLE hark.jobs ADD COLUMN IF NOT EXISTS tenant text;
--> statement-breakpoint
ALTER TABLE hark.running_jobs ADD COLUMN IF NOT EXISTS tenant text;
--> statement-breakpoint
ALTER TABLE hark.finished_jobs ADD COLUMN IF NOT EXISTS tenant text DEFAULT 'none';
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS hark.tenants (name text PRIMARY KEY);
--> statement-breakpoint
CREATE OR REPLACE FUNCTION hark.note_tenant() RETURNS trigger LANGUAGE plpgsql SET search_path = hark, pg_temp AS $$
BEGIN
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER jobs_tenant AFTER INSERT ON hark.jobs FOR EACH STATEMENT EXECUTE FUNCTION hark.note_tenant();
`,
  },
  {
    name: "0008_tenants_index",
    text: `-- Oldest code: version 7
-- Outside a transaction
DROP INDEX CONCURRENTLY IF EXISTS hark.jobs_tenant;
--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_tenant ON hark.jobs (tenant);
`,
  },
];

/** Removes what only code before version 9 needs. */
const contracting: LaterMigration = {
  name: "0009_contract",
  text: `-- Oldest code: version 9
DROP TRIGGER IF EXISTS jobs_tenant ON hark.jobs;
`,
};

const test = base
  .extend("upgradeUrl", async ({ server, pool }) => {
    const url = await server.createDatabase();
    // PostgreSQL's default. A migration gives way before that (core/migration-session.ts), but not
    // within the 20 ms of the tests' servers.
    await pool.query(`alter database ${new URL(url).pathname.slice(1)} set deadlock_timeout = '1s'`);
    return url;
  })
  .extend("startRelease", ({ upgradeUrl, ledger, queue }, { onCleanup }) => {
    const started: WorkerProcess[] = [];
    onCleanup(async () => void (await Promise.all(started.map((worker) => worker.end()))));
    return async (release: Release, name: string) => {
      const options = { databaseUrl: upgradeUrl, queue, ledgerFile: ledger.file, name };
      const worker = startWorkerProcess(options, release.workerMain);
      started.push(worker);
      await worker.ready;
      return worker;
    };
  })
  .extend("load", ({ upgradeUrl, queue }, { onCleanup }) => {
    const db = openDatabase({ connectionString: upgradeUrl, maxConnections: 4 });
    const load = new Load(createProducer({ database: db }), queue);
    onCleanup(async () => {
      await load.stop().catch(() => {});
      await db.close();
    });
    return Object.assign(load, { db });
  });

/** Single enqueues at a steady rate. Each must be acknowledged. */
class Load {
  /** When each job was acknowledged, by monotonicUs(). */
  readonly acknowledged = new Map<string, number>();
  readonly tookMs: number[] = [];
  readonly #producer: ReturnType<typeof createProducer>;
  readonly #queue: string;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(producer: ReturnType<typeof createProducer>, queue: string) {
    this.#producer = producer;
    this.#queue = queue;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Rejects with the first call that failed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const calls: Promise<void>[] = [];
    while (!this.#stopping.signal.aborted) {
      calls.push(this.#enqueue(calls.length));
      await sleep(1_000 / jobsPerSecond); // the rate
    }
    await Promise.all(calls);
  }

  async #enqueue(place: number): Promise<void> {
    const askedAt = performance.now();
    const { id } = await this.#producer.enqueue(
      task,
      {},
      {
        queue: this.#queue,
        ...(place % 5 === 0 && { key: `key-${place % 3}` }),
        ...(place % 7 === 0 && { delay: 50 }),
      },
    );
    this.tookMs.push(performance.now() - askedAt);
    this.acknowledged.set(String(id), monotonicUs());
  }
}

test(
  "the schema is upgraded under load, old and new workers run side by side, and the old code comes back",
  { tags: ["FM-44", "UPGRADE-1"] },
  async ({ upgradeUrl, queue, ledger, startRelease, load }) => {
    expect(expanding.flatMap(({ text }, place) => lintMigration(8 + place, text))).toEqual([]);
    await using former = await installRelease();
    await using next = await installRelease({ later: expanding });
    const phase = async (workers: readonly WorkerProcess[]) => {
      const endedBefore = ledger.of("ended").length;
      await ledger.until("ended", endedBefore + jobsAPhase, 60_000);
      const busy = new Set(
        ledger
          .of("ended")
          .slice(endedBefore)
          .map(({ worker }) => worker),
      );
      expect(workers.map(({ name }) => name).filter((name) => !busy.has(name))).toEqual([]);
    };

    expect(await former.hark(["migrate"], upgradeUrl)).toMatchObject({ code: 0 });
    const old = [await startRelease(former, "old-1"), await startRelease(former, "old-2")];
    load.start();
    await phase(old);

    // Expand: first the schema, while only old workers run.
    expect(await next.hark(["migrate", "--check"], upgradeUrl)).toMatchObject({ code: 1 });
    expect(await next.hark(["migrate"], upgradeUrl)).toMatchObject({
      code: 0,
      output: "applied 0007_tenants\napplied 0008_tenants_index\n",
    });
    await phase(old);
    expect(await former.hark(["migrate", "--check"], upgradeUrl)).toEqual({
      code: 0,
      output: "up to date: the schema is at version 9, which also supports this code (version 7)\n",
    });

    // Both versions, then the new one alone.
    const fresh = [await startRelease(next, "new-1"), await startRelease(next, "new-2")];
    await phase([...old, ...fresh]);
    for (const worker of old) worker.kill("SIGTERM");
    expect(await Promise.all(old.map(({ exited }) => exited))).toEqual([0, 0]);
    await phase(fresh);

    // Downgrade: old code starts on the newer schema.
    const back = [await startRelease(former, "back-1"), await startRelease(former, "back-2")];
    for (const worker of fresh) worker.kill("SIGTERM");
    expect(await Promise.all(fresh.map(({ exited }) => exited))).toEqual([0, 0]);
    await phase(back);

    await load.stop();
    await expectNothingLost({ load, ledger, queue, workers: [...old, ...fresh, ...back] });

    // Contract: only now is old code shut out, and reports it.
    await using last = await installRelease({ later: [...expanding, contracting] });
    expect(await last.hark(["migrate"], upgradeUrl)).toMatchObject({ code: 0, output: "applied 0009_contract\n" });
    await expect(startRelease(former, "too-old")).rejects.toThrow("lets in code from version 9 on");
    expect(await former.hark(["migrate", "--check"], upgradeUrl)).toMatchObject({ code: 4 });
    expect(await next.hark(["migrate", "--check"], upgradeUrl)).toMatchObject({ code: 0 });
  },
);

/**
 * Expects that each acknowledged job completed after one start, and that no step of a worker
 * failed.
 */
async function expectNothingLost(run: {
  load: Load & { db: ReturnType<typeof openDatabase> };
  ledger: { of(event: "started" | "ended"): { id: string; at: number; attempt: number }[]; until: Until };
  queue: string;
  workers: readonly WorkerProcess[];
}): Promise<void> {
  const { load, ledger, queue, workers } = run;
  const jobs = load.acknowledged.size;
  await ledger.until("ended", jobs, 60_000);
  await workersSettled(load.db, queue, jobs);

  const starts = ledger.of("started");
  expect(new Set(starts.map(({ id }) => id))).toEqual(new Set(load.acknowledged.keys()));
  expect(starts).toHaveLength(jobs);
  expect(starts.filter(({ attempt }) => attempt !== 1)).toEqual([]);
  for (const worker of workers) expect(worker.log, worker.name).not.toMatch(/step failed|outcome refused|"level":50/);
  expect(Math.max(...load.tookMs)).toBeLessThan(1_000);
  tell(`${jobs} jobs over upgrade and downgrade; enqueue took`, load.tookMs);
  tell(
    "from the acknowledgement to the start (a seventh are due 50 ms later)",
    starts.map(({ id, at }) => (at - load.acknowledged.get(id)!) / 1_000),
  );
}

type Until = (event: "ended", count: number, withinMs: number) => Promise<unknown>;

async function workersSettled(db: ReturnType<typeof openDatabase>, queue: string, jobs: number): Promise<void> {
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: jobs });
}

test(
  "workers of the first commit with this schema run through the upgrade, beside new ones",
  { tags: ["FM-44"] },
  async ({ upgradeUrl, queue, ledger, startRelease, load }) => {
    // Until there is a tag, this is the oldest code that wrote these tables. Without history the
    // current code stands in for it.
    const commit = await commitOfThisSchema();
    await using former = await installRelease({ commit });
    await using next = await installRelease({ later: expanding });

    expect(await former.hark(["migrate"], upgradeUrl)).toMatchObject({ code: 0 });
    const old = [await startRelease(former, "old-1"), await startRelease(former, "old-2")];
    load.start();
    await ledger.until("ended", jobsAPhase, 60_000);
    expect(await next.hark(["migrate"], upgradeUrl)).toMatchObject({ code: 0 });
    const fresh = [await startRelease(next, "new-1")];
    await ledger.until("ended", ledger.of("ended").length + jobsAPhase, 60_000);
    for (const worker of old) worker.kill("SIGTERM");
    expect(await Promise.all(old.map(({ exited }) => exited))).toEqual([0, 0]);
    await ledger.until("ended", ledger.of("ended").length + jobsAPhase, 60_000);

    await load.stop();
    await expectNothingLost({ load, ledger, queue, workers: [...old, ...fresh] });
    tell(`the old code was ${commit ?? "the current code: this clone has no history"}`);
  },
);
