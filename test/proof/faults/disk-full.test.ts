import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { type Database, migrate, openDatabase, UnrecoverableError } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { type Crash, lostOrDoubled, unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJob, insertJobs } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { repeats, tell } from "../../support/long.ts";
import { recordingLogger } from "../../support/recording-logger.ts";
import { noSmallDisk, SmallDisk } from "../../support/small-disk.ts";
import { task } from "../../support/task.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";

const run = promisify(execFile);
const rounds = repeats({ few: 1, full: 5 });

/**
 * Name of the trigger that refuses a queue's dead letters, as a server does when it runs out of a
 * resource.
 */
const lack = (queue: string) => `"no room for ${queue}"`;

async function takeRoom({ pool }: Database, queue: string, sqlState: string): Promise<void> {
  await pool.query(
    `create or replace function no_room() returns trigger language plpgsql as $$
       begin raise exception 'there is no room' using errcode = tg_argv[0]; end $$;
     create trigger ${lack(queue)} before insert on hark.dead_jobs for each row
       when (new.queue = '${queue}') execute function public.no_room('${sqlState}')`,
  );
}

async function giveRoom({ pool }: Database, queue: string): Promise<void> {
  await pool.query(`drop trigger ${lack(queue)} on hark.dead_jobs`);
}

test.for([
  ["53100", "disk full"],
  ["53200", "out of memory"],
  ["53300", "too many connections"],
])(
  "outcomes refused with %s (%s) are retried with doubling rests, stop claims once 2,000 wait, and are written in the end",
  { tags: ["FM-46"] },
  async ([sqlState], { db, queue, startWorker }) => {
    const jobs = 8_000;
    const triedAt: number[] = [];
    const logger = recordingLogger();
    let ran = 0;
    await takeRoom(db, queue, sqlState!);
    const failForGood = () => {
      ran += 1;
      throw new UnrecoverableError("as told"); // no claim carries such an outcome, so claims go on
    };
    await startWorker([implement(task, failForGood)], {
      queues: { [queue]: 50 },
      logger: {
        ...logger,
        error(facts, message) {
          if (message.startsWith("outcomes could not be written")) triedAt.push(performance.now());
          logger.error(facts, message);
        },
      },
    });
    const ids = await insertJobs(
      db,
      Array.from({ length: jobs }, () => ({ queue, type: task.type })),
    );

    await eventually(() => triedAt.length >= 6, { withinMs: 60_000, what: "six tries" });

    // 0.1, 0.2, 0.4, 0.8 and 1.6 s, half of it random: see settler.ts.
    for (let gap = 0; gap < 5; gap += 1) expect(triedAt[gap + 1]! - triedAt[gap]!).toBeGreaterThan(50 * 2 ** gap);
    expect(ran).toBeGreaterThan(2_000);
    expect(ran).toBeLessThanOrEqual(2_000 + 2_000 + 50); // at most 2,000 outcomes wait, and at most so many jobs were claimed before
    expect((await countJobs(db, queue))["dead"]).toBeUndefined();
    await giveRoom(db, queue);
    await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ dead: jobs });
    expect(ran).toBe(jobs); // so no outcome was dropped and no job ran twice
    expect(await lostOrDoubled(db, ids)).toEqual([]);
  },
);

/**
 * Mounts a small disk for a server. Where the system does not allow it, reports that nothing was
 * tested and skips the test.
 */
async function mountFor(
  server: { directory: string },
  { sizeMb, skip }: { sizeMb: number; skip: (why: string) => never },
): Promise<SmallDisk> {
  const disk = await SmallDisk.mount(dirname(server.directory), { sizeMb });
  if (disk) return disk;
  tell(`disk-full: ${noSmallDisk}`); // reporters do not print why a test was skipped
  return skip(noSmallDisk);
}

/** Makes a folder on a disk, owned by the server's user. Returns its path. */
async function folderFor(server: { directory: string }, disk: SmallDisk, name: string): Promise<string> {
  const folder = join(disk.directory, name);
  await mkdir(folder, { mode: 0o700 });
  await run("chown", [`--reference=${join(server.directory, "data")}`, folder]);
  return folder;
}

/**
 * Enqueues one job after the other until end() is called. A failed insert counts as not enqueued.
 */
function enqueueAll(db: Database, queue: string) {
  const [ids, failures]: [bigint[], unknown[]] = [[], []];
  const ending = new AbortController();
  const running = (async () => {
    while (!ending.signal.aborted) {
      await insertJob(db, { queue, type: task.type, maxAttempts: 10 }).then(
        (id) => ids.push(id),
        (error: unknown) => failures.push(error),
      );
      await pause(5);
    }
  })();
  return {
    /** Ids of the jobs whose commit was acknowledged. */
    ids,
    failures,
    async end() {
      ending.abort();
      await running;
    },
  };
}

test(
  `when the disk of the tables is full, running jobs end and are written once there is room, and none is lost or run twice, ${rounds} times`,
  { tags: ["FM-46", "KEPT-5"] },
  async ({ queue, ledger, startProcess, skip }) => {
    await using server = await startEmbedded({ durable: true });
    await using disk = await mountFor(server, { sizeMb: 96, skip });
    const admin = openDatabase({ connectionString: server.url });
    const url = new URL(server.url);
    url.pathname = "/small";
    const db = openDatabase({ connectionString: url.href });
    try {
      await admin.pool.query(`create tablespace small location '${await folderFor(server, disk, "space")}'`);
      await admin.pool.query("create database small tablespace small");
      await migrate({ connectionString: url.href });
      const workers: WorkerProcess[] = [];
      for (const name of ["one", "other"])
        workers.push(await startProcess({ databaseUrl: url.href, name, concurrency: 60, leaseMs: 30_000 }));
      const enqueued = enqueueAll(db, queue);

      const held: bigint[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const payloadJson = JSON.stringify({ ms: 3_000, fills: "a page in five".repeat(100) });
        const before = ledger.of("started").length;
        const long = await insertJobs(
          db,
          Array.from({ length: 50 }, () => ({ queue, type: task.type, payloadJson, priority: 9 })),
        );
        held.push(...long);
        await eventually(() => ledger.of("started").length >= before + 50, { withinMs: 60_000, what: "the long jobs" });
        const failedBefore = enqueued.failures.length;
        const makeRoom = await disk.fill();
        await eventually(() => enqueued.failures.length > failedBefore, { withinMs: 60_000, what: "a refused insert" });
        const all = new Set(long.map(String));
        const areEnded = () => new Set(ledger.of("ended").flatMap(({ id }) => (all.has(id) ? [id] : []))).size === 50;
        await eventually(areEnded, { withinMs: 60_000, what: "the ends of the long jobs", everyMs: 20 });
        const isTold = () => workers.some(({ log }) => log.includes("outcomes could not be written"));
        await eventually(isTold, { withinMs: 60_000, what: "a refused outcome" });
        const acknowledged = enqueued.ids.length;
        await makeRoom();
        await eventually(() => enqueued.ids.length > acknowledged, { withinMs: 60_000, what: "an insert with room" });
      }
      await enqueued.end();

      const ids = [...held, ...enqueued.ids];
      await expect.poll(() => countJobs(db, queue), { timeout: 120_000 }).toEqual({ completed: ids.length });
      expect(new Set(enqueued.failures.map((error) => (error as { code?: string }).code))).toEqual(new Set(["53100"]));
      expect(workers.map(({ isAlive }) => isAlive)).toEqual([true, true]);
      expect(await lostOrDoubled(db, ids)).toEqual([]);
      const starts = Map.groupBy(ledger.of("started"), ({ id }) => id);
      expect([...starts.values()].filter(({ length }) => length > 1)).toEqual([]); // no outcome was dropped, and no lease was lost
    } finally {
      await db.close();
      await admin.close();
    }
  },
);

test(
  `when the disk of the write-ahead log is full the server crashes, and after a restart with room no acknowledged job is lost or completed twice, ${rounds} times`,
  { tags: ["FM-46", "KEPT-5"] },
  async ({ queue, ledger, startProcess, skip }) => {
    // Otherwise the server would reserve all of the disk in advance.
    const settings = { min_wal_size: "32MB", max_wal_size: "48MB" };
    await using server = await startEmbedded({ durable: true, settings });
    await using disk = await mountFor(server, { sizeMb: 160, skip });
    await server.stopImmediately();
    const log = join(server.directory, "data", "pg_wal");
    const place = await folderFor(server, disk, "log");
    await run("cp", ["-a", `${log}/.`, place]);
    await rm(log, { recursive: true });
    await symlink(place, log);
    await server.start();
    await migrate({ connectionString: server.url });
    const db = openDatabase({ connectionString: server.url, deadlineMs: 2_000 });
    try {
      const workers: WorkerProcess[] = [];
      for (const name of ["one", "other"])
        workers.push(await startProcess({ databaseUrl: server.url, name, leaseMs: 3_000, pollMs: 1_000 }));
      const enqueued = enqueueAll(db, queue);

      const crashes: Crash[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const before = ledger.of("ended").length;
        await eventually(() => ledger.of("ended").length > before + 20, { withinMs: 60_000, what: "some ends" });
        const from = monotonicUs();
        const makeRoom = await disk.fill();
        // The rest of the current file lasts for a while. The server finds no room for the next
        // one.
        const isDown = async () => {
          await db.pool.query("select pg_switch_wal()").catch(() => {});
          return server.pid === undefined;
        };
        await eventually(isDown, { withinMs: 60_000, what: "the end of the server", everyMs: 50 });
        crashes.push({ from, to: monotonicUs() });
        expect(readFileSync(server.logFile, "utf8")).toMatch(/PANIC: .*pg_wal.*No space left on device/);
        await makeRoom();
        await server.start();
        const acknowledged = enqueued.ids.length;
        await eventually(() => enqueued.ids.length > acknowledged + 20, {
          withinMs: 60_000,
          what: "inserts with room",
        });
      }
      await enqueued.end();

      const isDone = async () => {
        const counts = await countJobs(db, queue);
        return Object.keys(counts).join() === "completed" && counts["completed"]! >= enqueued.ids.length;
      };
      await eventually(isDone, { withinMs: 120_000, what: "the completion of all jobs", everyMs: 50 });
      expect(workers.map(({ isAlive }) => isAlive)).toEqual([true, true]);
      expect(await lostOrDoubled(db, enqueued.ids)).toEqual([]);
      expect(await unexplainedStarts(db, ledger, { crashes })).toEqual([]);
    } finally {
      await db.close();
    }
  },
);
