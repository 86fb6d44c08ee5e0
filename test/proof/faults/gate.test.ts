import { silentLogger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { NotifyGate } from "@hark/worker/internal";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { endGateSessions, flush, heardOf, gateLocks, test, withinMs } from "../../support/gate.ts";
import { claim, completed, insertJob, insertJobs, registerWorker } from "../../support/jobs.ts";

test(
  "an enqueue notifies while a worker sleeps on the queue, and only then",
  { tags: ["FM-11"] },
  async ({ databaseUrl, queue, ears, connect }) => {
    const producer = await connect();
    await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger });
    await insertJob(producer, { queue });
    await flush(producer, ears.heard);
    expect(heardOf(ears.heard, queue)).toHaveLength(0);

    expect(await gate.open(queue)).toEqual([]);
    expect(gate.isOpen(queue)).toBe(true);
    await insertJob(producer, { queue });
    await insertJob(producer, { queue: `${queue}.other` });
    await flush(producer, ears.heard);
    expect(heardOf(ears.heard, queue)).toHaveLength(1);
    expect(heardOf(ears.heard, `${queue}.other`)).toHaveLength(0);

    await gate.open(queue); // opening it again takes no second lock
    gate.close(queue);
    expect(gate.isOpen(queue)).toBe(false);
    await gate.stillWriting(["1/1"]); // answered after the gate has closed
    await insertJob(producer, { queue });
    await flush(producer, ears.heard);
    expect(heardOf(ears.heard, queue)).toHaveLength(1);
    const { rows } = await producer.query(
      "select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    );
    expect(rows).toHaveLength(0); // the trigger's check leaves no lock behind
  },
);

test(
  "a statement of several jobs sends one notification per queue with a sleeping worker, with the number of ready jobs",
  { tags: ["FM-11"] },
  async ({ databaseUrl, queue, ears, connect }) => {
    const producer = await connect();
    await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger });
    const [slept, awake] = [`${queue}.slept`, `${queue}.awake`];
    const insert = (jobs: readonly { queue: string; delayMs?: number }[]) =>
      producer.query("select hark.insert_jobs($1)", [
        JSON.stringify(jobs.map(({ delayMs, ...job }) => ({ type: "test", ...job, delay_ms: delayMs }))),
      ]);
    await gate.open(slept);

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
    await insert([{ queue: slept }]);
    await insert([{ queue: slept }, { queue: slept }, { queue: slept }]);
    await insert([{ queue: slept }, { queue: slept, delayMs: 60_000 }]);
    await flush(producer, ears.heard);
    expect(heardOf(ears.heard, slept).map((payload) => payload!.split(" ")[1])).toEqual(["2", "1", "3", "1"]);
    expect(heardOf(ears.heard, awake)).toEqual([]);
    const { rows } = await producer.query(
      "select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    );
    expect(rows).toHaveLength(0);
  },
);

test("a promoted job, and one whose key was handed on, are announced through an open gate", async ({
  db,
  databaseUrl,
  queue,
  ears,
  connect,
}) => {
  const producer = await connect();
  const worker = await registerWorker(db);
  await insertJobs(db, [{ queue, key: "k" }]);
  const [running] = await claim(db, { queue, worker });
  await insertJob(db, { queue, key: "k" });
  await statements.parkBlocked(db, { queue, keys: ["k"] });
  await insertJob(db, { queue, delayMs: 1 });
  await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger });
  await gate.open(queue);

  const promote = () => statements.promoteJobs(db, { limit: 10, afterMs: Number.NEGATIVE_INFINITY });
  await eventually(async () => (await promote())[0]!.promoted > 0, { withinMs, what: "a promotion" });
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(1);
  await statements.completeJobs(db, completed(running!));
  await flush(producer, ears.heard);
  expect(heardOf(ears.heard, queue)).toHaveLength(2);
});

test("a role that may only enqueue announces through an open gate", async ({
  db,
  databaseUrl,
  queue,
  ears,
  connect,
}) => {
  const producer = await connect();
  const role = `hark_test_${crypto.randomUUID().slice(0, 8)}`;
  const signature = "hark.enqueue(text, jsonb, text, timestamptz, interval, integer, text, text, integer)";
  await db.pool.query(
    `create role ${role}; grant usage on schema hark to ${role}; grant execute on function ${signature} to ${role}`,
  );
  try {
    await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger });
    await gate.open(queue);
    await producer.query(`set role ${role}`);
    await producer.query("select hark.enqueue('test.plain', '{}', queue => $1)", [queue]);
    await producer.query("reset role");
    await flush(producer, ears.heard);
    expect(heardOf(ears.heard, queue)).toHaveLength(1);
  } finally {
    await producer.query("reset role");
    await db.pool.query(`drop owned by ${role}; drop role ${role}`);
  }
});

test("open() returns only the transactions that write, until they have ended", async ({
  databaseUrl,
  queue,
  connect,
}) => {
  const [writer, undone, reader, later] = [await connect(), await connect(), await connect(), await connect()];
  await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger });
  await reader.query("begin; select count(*) from hark.jobs");
  for (const client of [writer, undone]) {
    await client.query("begin; savepoint one");
    await insertJob(client, { queue });
  }

  const writers = await gate.open(queue);
  expect(writers).toHaveLength(2);
  await later.query("begin");
  await insertJob(later, { queue });
  expect(await gate.stillWriting(writers)).toHaveLength(2);
  await writer.query("commit");
  await undone.query("rollback to savepoint one");
  expect(await gate.stillWriting(writers)).toEqual([]);

  for (const client of [undone, reader, later]) await client.query("rollback");
});

test("the writers are listed after the gate is open, however long that takes", async ({
  db,
  databaseUrl,
  queue,
  connect,
}) => {
  const [holder, writer] = [await connect(), await connect()];
  await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger, answerMs: withinMs });
  await holder.query("select pg_advisory_lock(1751216747, hashtext($1))", [queue]);
  const opened = gate.open(queue);
  const isWaiting = `select ${gateLocks} and not granted`;
  await eventually(async () => (await db.pool.query(isWaiting)).rowCount, { withinMs, what: "a waiting gate" });

  await writer.query("begin");
  await insertJob(writer, { queue });
  await holder.query("select pg_advisory_unlock(1751216747, hashtext($1))", [queue]);

  expect(await opened).toHaveLength(1);
  await writer.query("rollback");
});

test("a queue that was opened, closed and opened again counts as open only once the last lock is held", async ({
  databaseUrl,
  queue,
  connect,
}) => {
  const holder = await connect();
  await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger, answerMs: withinMs });
  await gate.open(queue);
  gate.close(queue);
  await gate.stillWriting(["1/1"]); // answered after the gate has closed
  await holder.query("select pg_advisory_lock(1751216747, hashtext($1))", [queue]); // so the gate cannot open
  const taken = gate.open(queue);
  gate.close(queue);
  const kept = gate.open(queue);
  const released = holder.query("select pg_advisory_unlock(1751216747, hashtext($1))", [queue]);
  await taken;
  expect(gate.isOpen(queue)).toBe(false); // the first lock is released, the second not held yet

  await Promise.all([kept, released]);
  expect(gate.isOpen(queue)).toBe(true);
  const ofQueue = "and objid::bigint = hashtext($1)::bigint & 4294967295";
  expect((await holder.query(`select ${gateLocks} ${ofQueue}`, [queue])).rowCount).toBe(1);
});

test("the gate sends one statement at a time, however many are asked at once", async ({ databaseUrl, queue }) => {
  const warnings: string[] = [];
  const hear = (warning: Error) => void warnings.push(`${warning.name}: ${warning.message}`);
  process.on("warning", hear);
  try {
    await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger });
    const queues = Array.from({ length: 5 }, (_, n) => `${queue}.${n}`);
    await Promise.all([...queues.map((each) => gate.open(each)), gate.check()]);
    for (const each of queues) gate.close(each);
    await Promise.all([...queues.map((each) => gate.open(each)), gate.stillWriting(["1/1"]), gate.check()]);
    await new Promise((resolve) => setImmediate(resolve)); // warnings are emitted one turn later
  } finally {
    process.off("warning", hear);
  }
  expect(warnings).toEqual([]);
});

test("a lost session closes all its queues and reports it, and the next open() makes a new session", async ({
  db,
  databaseUrl,
  queue,
}) => {
  const lost = Promise.withResolvers<void>();
  await using gate = new NotifyGate({ connectionString: databaseUrl, logger: silentLogger, onLost: lost.resolve });
  await gate.open(queue);

  await endGateSessions(db);

  await lost.promise;
  expect(gate.isOpen(queue)).toBe(false);
  expect(await gate.open(queue)).toEqual([]);
  expect(gate.isOpen(queue)).toBe(true);
});
