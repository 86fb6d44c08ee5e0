import { statements } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { endMarks, flush, heardOf, test, withinMs } from "../../support/gate.ts";
import { claim, completed, insertJob, insertJobs, registerWorker } from "../../support/jobs.ts";

test(
  "a sleeper takes what is enqueued before, while and after it falls asleep",
  { tags: ["FM-40"] },
  async ({ db, queue, startSleeper }) => {
    const before = await insertJob(db, { queue });
    const sleeper = await startSleeper();
    await sleeper.untilClaimed(before);
    await sleeper.untilAsleep();
    for (let round = 0; round < 20; round += 1) {
      await sleeper.untilClaimed(await insertJob(db, { queue }));
      if (round % 2) await sleeper.untilAsleep();
    }
  },
);

test(
  "a job of a transaction that read the gate shut is found when that commits",
  { tags: ["FM-03"] },
  async ({ queue, connect, startSleeper, ears }) => {
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
  },
);

test(
  "without the quiesce step that job is lost",
  { tags: ["FM-03"] },
  async ({ db, queue, connect, startSleeper, ears }) => {
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
  },
);

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

  await dying.gate.stop(); // as its process's end would
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
