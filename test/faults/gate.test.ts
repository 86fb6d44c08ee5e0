import { type Database, silentLogger, statements } from "@hark/core";
import { Gate } from "@hark/worker";
import pg from "pg";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { claim, completed, insertJob, insertJobs, registerWorker } from "../support/jobs.ts";
import { listening } from "../support/listening.ts";
import { Sleeper, type SleeperOptions } from "../support/sleeper.ts";

const withinMs = 30_000;
/** Of this database: tests of other files use the server too. */
const marks = `from pg_locks where locktype = 'advisory' and classid = 1751216747
  and database = (select oid from pg_database where datname = current_database())`;

const test = base
  .extend("ears", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const ears = listening(databaseUrl);
    onCleanup(() => ears[Symbol.asyncDispose]());
    await ears.listener.whenListening(AbortSignal.timeout(60_000));
    return ears;
  })
  .extend("startSleeper", ({ db, databaseUrl, queue, ears }, { onCleanup }) => {
    const sleepers: Sleeper[] = [];
    onCleanup(async () => void (await Promise.all(sleepers.map((sleeper) => sleeper.stop()))));
    return async (options: Partial<SleeperOptions> = {}) => {
      const worker = await registerWorker(db);
      const { listener } = ears;
      const sleeper = new Sleeper({ db, connectionString: databaseUrl, listener, queue, worker, ...options });
      sleepers.push(sleeper);
      return sleeper;
    };
  })
  /** Opens sessions of a producer's own. */
  .extend("connect", ({ databaseUrl }, { onCleanup }) => {
    const clients: pg.Client[] = [];
    onCleanup(async () => void (await Promise.all(clients.map((client) => client.end()))));
    return async () => {
      const client = new pg.Client({ connectionString: databaseUrl });
      client.on("error", () => {});
      clients.push(client);
      await client.connect();
      return client;
    };
  });

/** Waits until everything that was sent before has been heard. */
async function flush(client: pg.Client, heard: readonly (string | undefined)[]): Promise<void> {
  const last = `flush-${crypto.randomUUID().slice(0, 8)}`;
  await client.query("select pg_notify('job_ready', $1)", [last]);
  await eventually(() => heard.includes(last), { withinMs, what: "the last notification" });
}
/** Ends the sessions with marks in this database. */
const endMarks = (db: Database) => db.pool.query(`select pg_terminate_backend(pid) ${marks}`);
const heardOf = (heard: readonly (string | undefined)[], queue: string) =>
  heard.filter((payload) => payload?.split(" ")[0] === queue);

test("who enqueues notifies while somebody sleeps on the queue, and only then", async ({
  databaseUrl,
  queue,
  ears,
  connect,
}) => {
  const producer = await connect();
  await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger });
  await insertJob(producer, { queue });
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(0);

  expect(await gate.arm(queue)).toEqual([]);
  expect(gate.isArmed(queue)).toBe(true);
  await insertJob(producer, { queue });
  await insertJob(producer, { queue: `${queue}.other` });
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(1);
  expect(heardOf(ears.heard, `${queue}.other`)).toHaveLength(0);

  await gate.arm(queue); // again: it is one mark
  gate.disarm(queue);
  expect(gate.isArmed(queue)).toBe(false);
  await gate.stillOpen(["1/1"]); // answered after the disarming
  await insertJob(producer, { queue });
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(1);
  const { rows } = await producer.query("select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()");
  expect(rows).toHaveLength(0); // nothing of the trigger's look is left
});

test("a statement of several jobs notifies once for each queue that somebody sleeps on, and tells how many are ready", async ({
  databaseUrl,
  queue,
  ears,
  connect,
}) => {
  const producer = await connect();
  await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger });
  const [slept, awake] = [`${queue}.slept`, `${queue}.awake`];
  const insert = (jobs: readonly { queue: string; delayMs?: number }[]) =>
    producer.query("select hark.insert_jobs($1)", [
      JSON.stringify(jobs.map(({ delayMs, ...job }) => ({ type: "test", ...job, delay_ms: delayMs }))),
    ]);
  await gate.arm(slept);

  await insert([
    { queue: slept, delayMs: 60_000 },
    { queue: awake },
    { queue: slept },
    { queue: slept },
    { queue: awake },
  ]);
  await insert([{ queue: awake }, { queue: awake }]);
  await insert([
    { queue: slept, delayMs: 60_000 },
    { queue: slept, delayMs: 60_000 },
  ]);
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, slept).map((payload) => payload!.split(" ")[1])).toEqual(["2"]);
  expect(heardOf(ears.heard, awake)).toEqual([]);
  const { rows } = await producer.query("select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()");
  expect(rows).toHaveLength(0);
});

test("arming answers the transactions that write, and no others, until they have ended", async ({
  databaseUrl,
  queue,
  connect,
}) => {
  const [writer, undone, reader, later] = [await connect(), await connect(), await connect(), await connect()];
  await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger });
  await reader.query("begin; select count(*) from hark.jobs");
  for (const client of [writer, undone]) {
    await client.query("begin; savepoint one");
    await insertJob(client, { queue });
  }

  const writers = await gate.arm(queue);
  expect(writers).toHaveLength(2);
  await later.query("begin");
  await insertJob(later, { queue });
  expect(await gate.stillOpen(writers)).toHaveLength(2);
  await writer.query("commit");
  await undone.query("rollback to savepoint one");
  expect(await gate.stillOpen(writers)).toEqual([]);

  for (const client of [undone, reader, later]) await client.query("rollback");
});

test("the writers are listed after the mark is set, however long that takes", async ({
  db,
  databaseUrl,
  queue,
  connect,
}) => {
  const [holder, writer] = [await connect(), await connect()];
  await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger, answerMs: withinMs });
  await holder.query("select pg_advisory_lock(1751216747, hashtext($1))", [queue]);
  const armed = gate.arm(queue);
  const isWaiting = `select ${marks} and not granted`;
  await eventually(async () => (await db.pool.query(isWaiting)).rowCount, { withinMs, what: "a waiting gate" });

  await writer.query("begin");
  await insertJob(writer, { queue });
  await holder.query("select pg_advisory_unlock(1751216747, hashtext($1))", [queue]);

  expect(await armed).toHaveLength(1);
  await writer.query("rollback");
});

test("a queue armed, disarmed and armed again counts as armed only once the last mark is set", async ({
  databaseUrl,
  queue,
  connect,
}) => {
  const holder = await connect();
  await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger, answerMs: withinMs });
  await gate.arm(queue);
  gate.disarm(queue);
  await gate.stillOpen(["1/1"]); // answered after the disarming
  await holder.query("select pg_advisory_lock(1751216747, hashtext($1))", [queue]); // no mark is to be had
  const taken = gate.arm(queue);
  gate.disarm(queue);
  const kept = gate.arm(queue);
  const released = holder.query("select pg_advisory_unlock(1751216747, hashtext($1))", [queue]);
  await taken;
  expect(gate.isArmed(queue)).toBe(false); // one mark is taken away, the other not yet there

  await Promise.all([kept, released]);
  expect(gate.isArmed(queue)).toBe(true);
  const ofQueue = "and objid::bigint = hashtext($1)::bigint & 4294967295";
  expect((await holder.query(`select ${marks} ${ofQueue}`, [queue])).rowCount).toBe(1);
});

test("the gate asks one question at a time, whatever is asked of it at once", async ({ databaseUrl, queue }) => {
  const warnings: string[] = [];
  const hear = (warning: Error) => void warnings.push(`${warning.name}: ${warning.message}`);
  process.on("warning", hear);
  try {
    await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger });
    const queues = Array.from({ length: 5 }, (_, n) => `${queue}.${n}`);
    await Promise.all([...queues.map((each) => gate.arm(each)), gate.check()]);
    for (const each of queues) gate.disarm(each);
    await Promise.all([...queues.map((each) => gate.arm(each)), gate.stillOpen(["1/1"]), gate.check()]);
    await new Promise((resolve) => setImmediate(resolve)); // warnings come a turn later
  } finally {
    process.off("warning", hear);
  }
  expect(warnings).toEqual([]);
});

test("a lost session takes its marks along and says so; the next arm makes a new one", async ({
  db,
  databaseUrl,
  queue,
}) => {
  const lost = Promise.withResolvers<void>();
  await using gate = new Gate({ connectionString: databaseUrl, logger: silentLogger, onLost: lost.resolve });
  await gate.arm(queue);

  await endMarks(db);

  await lost.promise;
  expect(gate.isArmed(queue)).toBe(false);
  expect(await gate.arm(queue)).toEqual([]);
  expect(gate.isArmed(queue)).toBe(true);
});

test("a sleeper takes what is enqueued before, while and after it falls asleep", async ({
  db,
  queue,
  startSleeper,
}) => {
  const before = await insertJob(db, { queue });
  const sleeper = await startSleeper();
  await sleeper.untilClaimed(before);
  await sleeper.untilAsleep();
  for (let round = 0; round < 20; round += 1) {
    await sleeper.untilClaimed(await insertJob(db, { queue }));
    if (round % 2) await sleeper.untilAsleep();
  }
});

test("a job of a transaction that read the gate shut is found when that commits", async ({
  queue,
  connect,
  startSleeper,
  ears,
}) => {
  const producer = await connect();
  await producer.query("begin");
  const id = await insertJob(producer, { queue }); // nobody sleeps
  const armed = Promise.withResolvers<void>();
  const sleeper = await startSleeper({ pause: () => armed.resolve() });
  await armed.promise;

  await producer.query("commit");

  await sleeper.untilClaimed(id);
  await sleeper.untilAsleep();
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(0); // found by looking, not by a notification
});

test("without the quiesce step that job is lost", async ({ db, queue, connect, startSleeper, ears }) => {
  const producer = await connect();
  await producer.query("begin");
  const id = await insertJob(producer, { queue });
  const sleeper = await startSleeper({ isHasty: true });
  await sleeper.untilAsleep();

  await producer.query("commit");

  await flush(producer, ears.heard);
  await sleeper.untilAsleep();
  expect(sleeper.claimed).not.toContain(id);
  expect(await statements.unhandledTypes(db, { queue, types: [] })).toHaveLength(1); // it is there, ready
});

test("a producer whose snapshot is older than the mark still sees that somebody sleeps", async ({
  db,
  queue,
  connect,
  startSleeper,
}) => {
  for (const isolation of ["repeatable read", "serializable"]) {
    const producer = await connect();
    await producer.query(`begin isolation level ${isolation}; select count(*) from hark.jobs`);
    const sleeper = await startSleeper();
    await sleeper.untilAsleep();
    await insertJob(db, { queue });
    await eventually(() => sleeper.claimed.size === 1, { withinMs, what: "a sleeper that has worked" });
    await sleeper.untilAsleep();

    const id = await insertJob(producer, { queue });
    await producer.query("commit");

    await sleeper.untilClaimed(id);
    await sleeper.stop();
  }
});

test("an early statement behind a shut gate and a later one before an open gate both reach the sleeper", async ({
  queue,
  connect,
  startSleeper,
}) => {
  const producer = await connect();
  await producer.query("begin; savepoint one");
  const early = await insertJob(producer, { queue });
  await producer.query("release one");
  const armed = Promise.withResolvers<void>();
  const sleeper = await startSleeper({ pause: () => armed.resolve() });
  await armed.promise;
  await producer.query("savepoint two");
  await insertJob(producer, { queue }); // its notification is undone with it
  await producer.query("rollback to two");
  const late = await insertJob(producer, { queue });

  await producer.query("commit");

  await sleeper.untilClaimed(early);
  await sleeper.untilClaimed(late);
  await sleeper.untilAsleep();
});

test("a rollback after the trigger ends the wait, and wakes nobody", async ({ queue, connect, startSleeper, ears }) => {
  const [producer, other] = [await connect(), await connect()];
  await producer.query("begin");
  await insertJob(producer, { queue });
  const armed = Promise.withResolvers<void>();
  const sleeper = await startSleeper({ pause: () => armed.resolve() });
  await armed.promise;

  await insertJob(producer, { queue }); // notifies, if it commits
  await producer.query("rollback");

  await sleeper.untilAsleep();
  await flush(other, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(0);
  await sleeper.untilClaimed(await insertJob(other, { queue }));
});

test("a long transaction that wrote no job keeps nobody from sleeping, one that did keeps its job findable", async ({
  db,
  queue,
  connect,
  startSleeper,
}) => {
  const [elsewhere, writer] = [await connect(), await connect()];
  await elsewhere.query(
    "begin; create table elsewhere (id int); insert into elsewhere values (1); select from hark.jobs",
  );
  const sleeper = await startSleeper();
  await sleeper.untilAsleep();
  await writer.query("begin");
  const id = await insertJob(writer, { queue: `${queue}.other` });
  const long = await startSleeper({ queue: `${queue}.other` });

  await long.untilClaimed(await insertJob(db, { queue: `${queue}.other` })); // others' jobs are not held up meanwhile
  await writer.query("commit");

  await long.untilClaimed(id);
  await elsewhere.query("rollback");
});

test("of two sleepers one may die between its mark and its claim: the other finds the job", async ({
  db,
  queue,
  startSleeper,
}) => {
  const held = Promise.withResolvers<void>();
  const armed = Promise.withResolvers<void>();
  const dying = await startSleeper({
    pause: async () => {
      armed.resolve();
      await held.promise;
    },
  });
  await armed.promise;
  const other = await startSleeper();
  await other.untilAsleep();

  await dying.gate.close(); // as its process's end would
  const id = await insertJob(db, { queue });

  await other.untilClaimed(id);
  held.resolve();
});

test("who loses its mark while it sleeps looks again, and marks anew", async ({ db, queue, startSleeper }) => {
  const sleeper = await startSleeper();
  await sleeper.untilAsleep();
  const looks = sleeper.emptyClaims;

  await endMarks(db);

  await eventually(() => sleeper.emptyClaims > looks, { withinMs, what: "a look before the new mark" });
  await sleeper.untilAsleep();
  await sleeper.untilClaimed(await insertJob(db, { queue }));
});

test("a promoted job, and one whose key was handed over, wake the sleeper", async ({ db, queue, startSleeper }) => {
  const worker = await registerWorker(db);
  await insertJobs(db, [{ queue, key: "k" }]);
  const [running] = await claim(db, { queue, worker });
  const parked = await insertJob(db, { queue, key: "k" });
  await statements.parkBlocked(db, { queue, keys: ["k"] });
  const delayed = await insertJob(db, { queue, delayMs: 1 });
  const sleeper = await startSleeper();
  await sleeper.untilAsleep();

  await eventually(
    async () => (await statements.promoteJobs(db, { limit: 10, afterMs: Number.NEGATIVE_INFINITY }))[0]!.promoted > 0,
    {
      withinMs,
      what: "a promotion",
    },
  );
  await sleeper.untilClaimed(delayed);
  await sleeper.untilAsleep();
  await statements.completeJobs(db, completed(running!));
  await sleeper.untilClaimed(parked);
});

test("a role that may only enqueue passes the gate", async ({ db, queue, connect, startSleeper }) => {
  const producer = await connect();
  const role = `hark_test_${crypto.randomUUID().slice(0, 8)}`;
  const signature = "hark.enqueue(text, jsonb, text, timestamptz, interval, integer, text, text, integer)";
  await db.pool.query(
    `create role ${role}; grant usage on schema hark to ${role}; grant execute on function ${signature} to ${role}`,
  );
  try {
    const sleeper = await startSleeper();
    await sleeper.untilAsleep();
    await producer.query(`set role ${role}`);
    const enqueue = "select hark.enqueue('test.plain', '{}', queue => $1) as id";
    const { rows } = await producer.query<{ id: string }>(enqueue, [queue]);
    await sleeper.untilClaimed(BigInt(rows[0]!.id));
  } finally {
    await producer.query("reset role");
    await db.pool.query(`drop owned by ${role}; drop role ${role}`);
  }
});
