import { setTimeout as pause } from "node:timers/promises";
import { type Database, defineJob, type DatabaseOptions, openDatabase, silentLogger } from "@hark/core";
import { implement, type Ports, realPorts, Worker } from "@hark/worker/internal";
import pg from "pg";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { gateLocks } from "../../support/gate.ts";
import { insertJobs } from "../../support/jobs.ts";
import { repeats } from "../../support/long.ts";
import { pick, type Random, randomFrom, seedOfRun } from "../../support/random.ts";

const jobs = repeats({ few: 10_000, full: 1_000_000 });
/** 20 ms a job is many times what one takes. */
vi.setConfig({ testTimeout: 240_000 + jobs * 20 });
/**
 * Few, since a later job's notification also finds a lost job. Only the last job of a round can
 * show the loss.
 */
const jobsOfRound = 20;
const producers = 6;
/**
 * How many workers run at most. The gate is closed only while all of them are awake, so most rounds
 * have one.
 */
const mostWorkers = 3;

/** Runs a producer's next transaction. Returns the ids of the committed jobs. */
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

/** A gate that reports no writers when it opens a queue, so that the worker waits for none. */
function hastyPorts(): Ports {
  return {
    ...realPorts,
    openDatabase(options: DatabaseOptions) {
      const db = openDatabase(options);
      if (options.applicationName !== "hark gate") return db;
      const toServer = db.pool.connect.bind(db.pool);
      const connect = async () => {
        const client = await toServer();
        const query = client.query.bind(client) as (asked: { name?: string }) => Promise<pg.QueryResult>;
        const withoutWriters = async (asked: { name?: string }) => {
          const answer = await query(asked);
          if (asked.name === "open-notify-gate") for (const row of answer.rows) Object.assign(row, { writers: [] });
          return answer;
        };
        return Object.assign(client, { query: withoutWriters });
      };
      return Object.assign(db, { pool: Object.assign(db.pool, { connect }) });
    },
  };
}

/**
 * Runs rounds of random transactions. After each round everything is idle. A job that has not
 * started then is lost, since no poll is near.
 */
async function soak(
  { db, databaseUrl, queue }: { db: Database; databaseUrl: string; queue: string },
  { wanted, isHasty = false, standstillMs }: { wanted: number; isHasty?: boolean; standstillMs: number },
): Promise<void> {
  const seed = seedOfRun();
  const random = randomFrom(seed);
  await using cleanUp = new AsyncDisposableStack();
  const started = new Set<bigint>();
  // A job keeps its worker awake for a while.
  const handler = implement(defineJob("test.plain", { queue }), async ({ id }) => {
    started.add(id);
    if (random() < 0.1) await pause(random() * 10);
  });
  const crew: Worker[] = [];
  cleanUp.defer(async () => void (await Promise.all(crew.map((worker) => worker.stop("now")))));
  const start = async () => {
    const far = { pollInterval: "1h", promoteInterval: "1h" } as const;
    const options = { connectionString: databaseUrl, handlers: [handler], queues: { [queue]: 50 }, ...far };
    const worker = new Worker({ ...options, logger: silentLogger }, isHasty ? hastyPorts() : realPorts);
    crew.push(worker);
    await worker.start();
    await worker.whenListening(AbortSignal.timeout(60_000));
  };
  const clients: pg.Client[] = [];
  cleanUp.defer(async () => void (await Promise.all(clients.map((client) => client.end()))));
  for (let one = 0; one < producers; one += 1) {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    clients.push(client);
  }

  const tally = { committed: 0 };
  let wantedCrew = 1;
  while (tally.committed < wanted) {
    if (random() < 0.05) wantedCrew = random() < 0.6 ? 1 : 1 + Math.trunc(random() * mostWorkers);
    while (crew.length < wantedCrew) await start();
    while (crew.length > wantedCrew) await crew.shift()!.stop();
    const target = Math.min(tally.committed + jobsOfRound, wanted);
    const producing = clients.map(async (client) => {
      while (tally.committed < target) {
        const ids = await transact(client, queue, random);
        tally.committed += ids.length; // read after the wait, since others count too
        // Now and then a producer is quiet, so that workers fall asleep in the middle of others'
        // transactions.
        if (random() < 0.3) await pause(random() * 15);
      }
    });
    const trouble = isHasty ? 1 : random();
    if (trouble < 0.2) {
      // The server closes the gate before its worker learns of it. A producer that checks the gate
      // asks for another lock mode.
      await db.pool.query(
        `select pg_terminate_backend(pid) from (select pid ${gateLocks} and mode = 'ShareLock' order by random() limit 1) one`,
      );
    } else if (trouble < 0.22) {
      await start();
      await crew.shift()!.stop();
    }
    await Promise.all(producing);
    await eventually(() => started.size === tally.committed, {
      withinMs: standstillMs,
      what: `seed ${seed}: the start of all ${tally.committed} jobs`,
    }).catch((cause: Error) => {
      throw new Error(`${cause.message}; started ${started.size}`, { cause });
    });
  }
}

test(
  `no wake-up is lost in ${jobs} jobs of random transactions without polls, while workers come, go and lose their gate`,
  { tags: ["AWAKE-2", "FM-03"] },
  async ({ db, databaseUrl, queue }) => {
    await soak({ db, databaseUrl, queue }, { wanted: jobs, standstillMs: 30_000 });

    const { rowCount } = await db.pool.query("select from hark.jobs where queue = $1", [queue]);
    expect(rowCount).toBe(0);
  },
);

test(
  "workers that do not wait for the writers miss a ready job in the same soak",
  { tags: ["AWAKE-2"] },
  async ({ db, databaseUrl, queue }) => {
    const run = soak({ db, databaseUrl, queue }, { wanted: 20_000, isHasty: true, standstillMs: 5_000 });

    await expect(run).rejects.toThrow(/the start of all \d+ jobs did not come true/);
    const { rowCount } = await db.pool.query("select from hark.jobs where queue = $1 and state = 'ready'", [queue]);
    expect(rowCount).toBeGreaterThan(0);
  },
);
