import { type Database, defineJob } from "@hark/core";
import type { Producer } from "@hark/producer";
import { implement } from "@hark/worker";
import { eventually } from "../../support/eventually.ts";
import { test as base } from "../../support/fixtures.ts";

/** Longer than any test, so a job that starts was started by a wake-up. */
const never = { pollInterval: "10m", promoteInterval: "10m" } as const;

/** A session that holds an old snapshot. No row that existed when it began can be vacuumed. */
const test = base.extend("pin", { auto: true }, async ({ db }, { onCleanup }) => {
  const session = await db.pool.connect();
  onCleanup(() => session.release(true));
  await session.query("set idle_in_transaction_session_timeout = 0");
  await session.query("begin isolation level repeatable read");
  await session.query("select count(*) from hark.stats");
  return session;
});

/** Keeps at least `least` jobs ready until it is disposed of. */
function keepBusy(producer: Producer, job: ReturnType<typeof defineJob>, handled: () => number, least = 3_000) {
  const done = new AbortController();
  let sent = 0;
  const sending = (async () => {
    while (!done.signal.aborted) {
      await producer.enqueueMany(Array.from({ length: 1_000 }, () => ({ job, payload: {} })));
      sent += 1_000;
      await eventually(() => sent - handled() < least || done.signal.aborted, { withinMs: 60_000 });
    }
  })();
  return { [Symbol.asyncDispose]: () => (done.abort(), sending) };
}

/** Leaves one dead entry per job in the index of scheduled jobs. */
async function promoteMany({ pool }: Database, queue: string, jobs: number): Promise<void> {
  await pool.query(
    `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
     select $1, 'test.busy', '{}', 0, 0, 3, 0, clock_timestamp() + n * interval '10 us', clock_timestamp(), 'scheduled'
       from generate_series(1, $2::integer) n`,
    [queue, jobs],
  );
}

test(
  "under an old snapshot, delayed jobs start on time while a producer enqueues without pause",
  { tags: ["FAST-2", "FM-42"] },
  async ({ db, producer, queue, startWorker }) => {
    const busy = defineJob("test.busy", { queue });
    const delayed = defineJob("test.delayed", { queue });
    let handled = 0;
    const started = new Set<bigint>();
    await startWorker(
      [implement(busy, () => void (handled += 1)), implement(delayed, ({ id }) => void started.add(id))],
      { ...never, queues: { [queue]: 100 } },
    );
    await promoteMany(db, queue, 20_000);
    await eventually(() => handled >= 20_000, { withinMs: 60_000 });

    await using _ = keepBusy(producer, busy, () => handled);
    for (let n = 0; n < 10; n += 1) {
      const { id } = await producer.enqueue(delayed, {}, { delay: 300 });
      // Within 2 s on an idle machine, see claim-cursor.ts. A job that stays behind the cursor
      // would never start.
      await eventually(() => started.has(id), { withinMs: 15_000, what: `delayed job ${n} starting` });
    }
  },
);

test(
  "under an old snapshot, a job that commits after its due time is promoted, though later jobs were promoted before",
  { tags: ["FM-42"] },
  async ({ db, queue, startWorker }) => {
    const busy = defineJob("test.busy", { queue });
    const late = defineJob("test.late", { queue });
    let handled = 0;
    const started = new Set<bigint>();
    await startWorker([implement(busy, () => void (handled += 1)), implement(late, ({ id }) => void started.add(id))], {
      ...never,
      queues: { [queue]: 100 },
    });
    await promoteMany(db, queue, 20_000);
    await eventually(() => handled >= 20_000, { withinMs: 60_000 });

    // The second commits without a notification, as if it were lost. The look at the whole queue
    // finds it.
    for (const isAnnounced of [true, false]) {
      const writer = await db.pool.connect();
      try {
        await writer.query("begin");
        if (!isAnnounced) await writer.query("set local session_replication_role = replica");
        const { rows } = await writer.query<{ id: string }>(
          `select hark.enqueue('test.late', '{}', queue => $1, delay => interval '100 ms') as id`,
          [queue],
        );
        const before = handled;
        await promoteMany(db, queue, 5_000); // due within 50 ms, so before the uncommitted job or after it
        await promoteMany(db, queue, 2_000);
        await eventually(() => handled >= before + 7_000, { withinMs: 60_000 });
        await writer.query("commit");
        if (!isAnnounced) await promoteMany(db, queue, 1_000); // the promoter has work and does not wait for its interval
        const id = BigInt(rows[0]!.id);
        await eventually(() => started.has(id), { withinMs: 30_000, what: "the late job starting" });
      } finally {
        writer.release(true);
      }
    }
  },
);
