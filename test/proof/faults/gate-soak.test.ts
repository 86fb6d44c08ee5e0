import { setTimeout as pause } from "node:timers/promises";
import { type Database, silentLogger } from "@hark/core";
import { Listener } from "@hark/worker/internal";
import pg from "pg";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJobs, registerWorker } from "../../support/jobs.ts";
import { repeats } from "../../support/long.ts";
import { pick, type Random, randomFrom, seedOfRun } from "../../support/random.ts";
import { Sleeper } from "../../support/sleeper.ts";

const jobs = repeats({ few: 20_000, full: 1_000_000 });
/** 20 ms a job is many times what one takes. */
vi.setConfig({ testTimeout: 240_000 + jobs * 20 });
/** Few, since a later job's notification finds a lost one too: only the last of a round can show the loss. */
const jobsOfRound = 20;
const producers = 6;
/** Most at a time. The gate is shut only while all of them are awake, so it is one in most rounds. */
const sleepers = 3;

/** What a producer does in its next transaction. Answers the ids that came to be committed. */
async function transact(client: pg.Client, queue: string, random: Random): Promise<bigint[]> {
  const isolation = pick(random, ["read committed", "read committed", "repeatable read", "serializable"]);
  await client.query(`begin isolation level ${isolation}`);
  if (isolation !== "read committed") await client.query("select from hark.workers limit 1"); // its snapshot is old from now on
  const ids: bigint[] = [];
  const dawdle = () => (random() < 0.3 ? pause(random() * 8) : undefined);
  const statements = 1 + Math.trunc(random() * 3);
  for (let statement = 0; statement < statements; statement += 1) {
    await dawdle();
    const isUndone = random() < 0.15;
    if (isUndone) await client.query("savepoint part");
    const wanted = Array.from({ length: 1 + Math.trunc(random() * 4) }, () => ({ queue }));
    const inserted = await insertJobs(client, wanted);
    if (isUndone) await client.query("rollback to savepoint part");
    else ids.push(...inserted);
  }
  await dawdle();
  if (random() < 0.15) {
    await client.query("rollback");
    return [];
  }
  await client.query("commit");
  return ids;
}

/** Rounds of random transactions. After each all falls quiet, and what is not claimed then is lost. */
async function soak(
  { db, databaseUrl, queue }: { db: Database; databaseUrl: string; queue: string },
  { wanted, isHasty = false, standstillMs }: { wanted: number; isHasty?: boolean; standstillMs: number },
): Promise<void> {
  const seed = seedOfRun();
  const random = randomFrom(seed);
  await using cleanUp = new AsyncDisposableStack();
  const listener = cleanUp.use(new Listener({ connectionString: databaseUrl, logger: silentLogger }));
  listener.start();
  await listener.whenListening(AbortSignal.timeout(60_000));

  const crew: Sleeper[] = [];
  cleanUp.defer(async () => void (await Promise.all(crew.map((sleeper) => sleeper.stop()))));
  const start = async () => {
    const worker = await registerWorker(db, { leaseMs: 86_400_000 });
    crew.push(
      new Sleeper({ db, connectionString: databaseUrl, listener, queue, worker, limit: 500, isHasty, pause: work }),
    );
  };
  const leave = async () => {
    const old = crew.shift()!;
    await old.stop();
    tally.gone += old.claimed.size;
  };
  /** What it found keeps a sleeper awake for a while. */
  const work = (step: "armed" | "found") => (step === "found" ? pause(random() * 10) : undefined);
  const clients: pg.Client[] = [];
  cleanUp.defer(async () => void (await Promise.all(clients.map((client) => client.end()))));
  for (let one = 0; one < producers; one += 1) {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    clients.push(client);
  }

  const tally = { committed: 0, gone: 0 };
  const claimed = () => tally.gone + crew.reduce((sum, sleeper) => sum + sleeper.claimed.size, 0);
  while (tally.committed < wanted) {
    const wantedCrew = random() < 0.6 ? 1 : 1 + Math.trunc(random() * sleepers);
    while (crew.length < wantedCrew) await start();
    while (crew.length > wantedCrew) await leave();
    const target = Math.min(tally.committed + jobsOfRound, wanted);
    const producing = clients.map(async (client) => {
      while (tally.committed < target) {
        const ids = await transact(client, queue, random);
        tally.committed += ids.length; // read after the wait: others count too
        // Now and then a producer is quiet, so that sleepers fall asleep in the middle of others' transactions.
        if (random() < 0.3) await pause(random() * 15);
      }
    });
    const trouble = isHasty ? 1 : random();
    if (trouble < 0.2) {
      // Its mark vanishes on the server before its owner hears of it.
      await db.pool.query(
        `select pg_terminate_backend(pid) from (select pid from pg_locks
          where locktype = 'advisory' and classid = 1751216747 and mode = 'ShareLock' -- a producer that tries the gate asks for another
            and database = (select oid from pg_database where datname = current_database()) order by random() limit 1) one`,
      );
    } else if (trouble < 0.4) {
      await start();
      await leave();
    }
    await Promise.all(producing);
    await eventually(() => claimed() === tally.committed, {
      withinMs: standstillMs,
      what: `seed ${seed}: the claims of all ${tally.committed} jobs`,
    }).catch((cause: Error) => {
      const standing = crew.map((sleeper) => sleeper.standing).join("; ");
      throw new Error(`${cause.message}; claimed ${claimed()}; sleepers ${standing}`, { cause });
    });
  }
}

test(
  `no wake-up is lost in ${jobs} jobs of random transactions, though nobody polls, and sleepers come, go and lose their marks`,
  { tags: ["AWAKE-2", "FM-03"] },
  async ({ db, databaseUrl, queue }) => {
    await soak({ db, databaseUrl, queue }, { wanted: jobs, standstillMs: 30_000 });

    const { rowCount } = await db.pool.query("select from hark.jobs where queue = $1", [queue]);
    expect(rowCount).toBe(0);
  },
);

test(
  "without the quiesce step the same soak hangs on a job that is ready",
  { tags: ["AWAKE-2"] },
  async ({ db, databaseUrl, queue }) => {
    const run = soak({ db, databaseUrl, queue }, { wanted: 20_000, isHasty: true, standstillMs: 3_000 });

    await expect(run).rejects.toThrow(/the claims of all \d+ jobs did not come true/);
    const { rowCount } = await db.pool.query("select from hark.jobs where queue = $1 and state = 'ready'", [queue]);
    expect(rowCount).toBeGreaterThan(0);
  },
);
