// @module-tag SEC-50
import { createLocks, defineJob, migrate } from "@hark/core";
import { PostgresQueue } from "@hark/job-manager";
import { implement, schedule } from "@hark/worker";
import { expect } from "vitest";
import { countStatements } from "../../support/count-statements.ts";
import { eventually } from "../../support/eventually.ts";
import { countJobs, insertJobs, untilState } from "../../support/jobs.ts";
import { isLong, percentile, repeats, tell } from "../../support/long.ts";
import { floodName, test } from "./stranger.ts";

/*
 * What a login without any right may do to the database that it can connect to: notify, listen, and
 * hold advisory locks. It must cost a bounded share of a worker, and stop nothing.
 */

/** Drained at a time. */
const jobs = isLong ? 15_000 : 2_500;

/**
 * Drains of each kind, in alternation. The fastest counts, since other processes on the machine
 * only ever slow one down.
 */
const rounds = repeats({ few: 3, full: 5 });

/** Every advisory lock that Hark takes or has taken, by its numbers in SQL. */
const advisoryLocks = (queue: string, lockKey: string) => [
  `pg_advisory_lock(1751216747, hashtext('${queue}'))`,
  `pg_advisory_lock(1751216747, hashtext('default'))`,
  `pg_advisory_lock(1751216747, 1835624306)`,
  `pg_advisory_lock(hashtextextended('hark.partitions', 0))`,
  `pg_advisory_lock(hashtextextended('hark.locks ${lockKey}', 0))`,
];

test(
  "a stranger who holds all of Hark's advisory locks stops no lock, job, schedule, partition or migration",
  { tags: ["SEC-50"] },
  async ({ stranger, db, server, queue, startWorker, pool }) => {
    const lockKey = `page ${queue}`;
    const client = await stranger.connect();
    for (const lock of advisoryLocks(queue, lockKey)) await client.query(`select ${lock}`);

    const lock = await createLocks({ db }).acquire(lockKey, { ttlMs: 60_000 });
    const next = await (await lock.release(), createLocks({ db }).acquire(lockKey, { ttlMs: 60_000 }));
    expect(next.fence).toBeGreaterThan(lock.fence);

    const job = defineJob("test.plain", { queue });
    let ticks = 0;
    const handlers = [implement(job, () => {}), implement(defineJob("test.tick", { queue }), () => void (ticks += 1))];
    const schedules = [schedule(defineJob("test.tick", { queue }), { every: "1s" }, { name: queue })];
    await startWorker(handlers, { queues: { [queue]: 2 }, schedules });
    const ids = await insertJobs(db, [
      { queue, type: "test.plain" },
      { queue, type: "test.plain" },
    ]);
    for (const id of ids) await untilState(db, id, "completed");
    await eventually(() => ticks > 0, { withinMs: 60_000, what: "a tick of the schedule" });

    const { rows } = await pool.query<{ name: string }>(
      `select relname as name from pg_class where relname ~ '^attempts_\\d{8}$' order by relname desc limit 1`,
    );
    await pool.query(`drop table hark.${rows[0]!.name}`);
    expect((await pool.query("select hark.create_partitions(7) as made")).rows).toEqual([{ made: 1 }]);

    const empty = await server.createDatabase();
    const there = await stranger.connect(empty);
    for (const held of advisoryLocks(queue, lockKey)) await there.query(`select ${held}`);
    expect(await migrate({ connectionString: empty })).not.toEqual([]);
  },
);

type Flood = [what: string, channel: string, payload: (queue: string, id: bigint) => string];

const floods: Flood[] = [
  ["ready jobs in our queue", "job_ready", (queue) => `'${queue} 1 ' || i`],
  ["a cancelled job that runs", "job_cancelled", (_, id) => `case i % 2 when 0 then '${id}' else i::text end`],
  ...floodsOfLongRun(),
];

/** Channels that wake a loop with a pace of its own. */
function floodsOfLongRun(): Flood[] {
  if (!isLong) return [];
  return [
    ["due jobs", "job_scheduled", () => `i::text`],
    ["keys that wait", "key_waits", (queue) => `case i % 2 when 0 then '${queue}' else 'q-' || i end`],
    ["released locks", "lock_released", () => `i::text`],
    ["changed schedules", "schedule_changed", () => `'s-' || i`],
    ["heartbeats", "hark_heartbeat", () => `i::text`],
  ];
}

test.for(floods)(
  "a flood of forged %s leaves a worker at least half of its throughput, and aborts nothing",
  { tags: ["SEC-51", "FM-45", "CLOSED-4"] },
  async ([, channel, payload], { stranger, db, queue, startWorker }) => {
    const long = Promise.withResolvers<void>();
    let isAborted = false;
    const held = implement(defineJob("test.held", { queue }), ({ signal }) => {
      signal.addEventListener("abort", () => (isAborted = true));
      return long.promise;
    });
    const handlers = [implement(defineJob("test.plain", { queue }), () => {}), held];
    await startWorker(handlers, { queues: { [queue]: 20 } });
    const [id] = await insertJobs(db, [{ queue, type: "test.held" }]);
    await untilState(db, id!, "running");

    let done = 0;
    const drain = async () => {
      const startedAt = performance.now();
      const fresh = Array.from({ length: jobs }, () => ({ queue, type: "test.plain" }));
      await insertJobs(db, fresh);
      done += fresh.length;
      await eventually(async () => (await countJobs(db, queue))["completed"] === done, {
        withinMs: 60_000,
        what: "the drain",
        everyMs: 20,
      });
      return fresh.length / ((performance.now() - startedAt) / 1_000);
    };
    await drain(); // warm
    const rates = { calm: [] as number[], unheard: [] as number[], flooded: [] as number[] };
    const forged: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      if (isLong) rates.calm.push(await drain());
      /** The same flood on a channel that nobody hears costs the machine as much. */
      for (const [kind, on] of [
        ["unheard", "nobody_listens"],
        ["flooded", channel],
      ] as const) {
        const stop = await stranger.flood(on, payload(queue, id!));
        rates[kind].push(await drain());
        forged.push(await stop());
      }
    }
    const [calm, unheard, flooded] = [rates.calm, rates.unheard, rates.flooded].map((each) => percentile(each, 1));
    tell(
      `${channel}: ${Math.round(percentile(forged, 0.5))}/s forged, jobs/s: ${Math.round(flooded!)} flooded, ` +
        `${Math.round(unheard!)} beside a flood that nobody hears${isLong ? `, ${Math.round(calm!)} calm` : ""}`,
    );
    expect(flooded).toBeGreaterThan(unheard! / 2);

    expect(isAborted).toBe(false);
    long.resolve();
    expect(await untilState(db, id!, "completed")).toMatchObject({ attempt: 1, attempts: [] });
    const [after] = await insertJobs(db, [{ queue, type: "test.plain" }]);
    await untilState(db, after!, "completed");
  },
);

test(
  "a flood of forged job_ready leaves a waiting PostgresQueue some tens of statements a second, and it gets its job",
  { tags: ["SEC-51", "FM-45"] },
  async ({ stranger, databaseUrl }) => {
    await using queue = new PostgresQueue({ connectionString: databaseUrl });
    expect(await queue.dequeue()).toBeNull();
    const stop = await stranger.flood("job_ready", `case i % 2 when 0 then 'default' else 'default 1 ' || i end`);
    const { sent, end } = countStatements();
    const startedAt = performance.now();
    expect(await queue.dequeue({ wait: 3_000 })).toBeNull();
    sent.delete(floodName);
    const perSecond =
      [...sent.values()].reduce((sum, count) => sum + count, 0) / ((performance.now() - startedAt) / 1_000);
    end();
    tell(`a waiting PostgresQueue sent ${Math.round(perSecond)} statements a second: ${JSON.stringify([...sent])}`);
    expect(perSecond).toBeLessThan(100);

    const waiting = queue.dequeue({ wait: 30_000 });
    const { id } = await queue.enqueue({ type: "product", target_url: "https://example.com/1" });
    expect((await waiting)?.id).toBe(id);
    await queue.completeJob(id);
    await stop();
  },
);

test(
  "jobs that come one by one during a flood start within a moment",
  { tags: ["SEC-51"] },
  async ({ stranger, db, queue, startWorker }) => {
    await startWorker([implement(defineJob("test.plain", { queue }), () => {})], {
      queues: { [queue]: 2 },
      pollInterval: "10m",
    });
    const stop = await stranger.flood("job_ready", `'${queue} 1 ' || i`);
    const startedAt = performance.now();
    for (let round = 0; round < 10; round += 1) {
      const [id] = await insertJobs(db, [{ queue, type: "test.plain" }]);
      await untilState(db, id!, "completed", { withinMs: 10_000 });
    }
    tell(`ten jobs one after the other beside a flood: ${Math.round(performance.now() - startedAt)} ms`);
    await stop();
  },
);
