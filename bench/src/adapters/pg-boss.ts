import { type ConstructorOptions, type JobOptions, PgBoss, type Queue, type WorkOptions } from "pg-boss";
import { type Adapter, handleAll, type Payload } from "../adapter.ts";
import { openPool } from "../pool.ts";

const queue = "bench";

/** How jobs of one key are kept apart: by a policy of the queue, or by groups. */
type KeyedBy = "singleton" | "groups";

interface Tuning {
  readonly boss: Omit<ConstructorOptions, "connectionString">;
  readonly queue: Omit<Queue, "name">;
  readonly work: WorkOptions;
  readonly keyedBy?: KeyedBy;
}

/**
 * Three workers with large batches. They fetch again at once while batches come back full, and
 * NOTIFY wakes them when idle.
 */
const best: Tuning = {
  boss: { useListenNotify: true, supervise: true },
  queue: { notify: true },
  work: { batchSize: 2_000, localConcurrency: 3, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
};

/**
 * A batch holds one job of a key at most. If a batch is not full, its worker rests for half a
 * second before the next. So batches are no larger than the number of keys. A batch of one job
 * counts as full only while the queue's statistics, a second old, show more jobs that wait.
 */
function tunedFor(keys = 2_000): WorkOptions {
  return keys === 1
    ? { batchSize: 1, burstWhenBatchFull: false, burstWhenReadyExceeds: 1 }
    : { batchSize: Math.min(keys, 2_000) };
}

function pgBoss(name: string, options: string, tuning: Tuning): Adapter {
  const { keyedBy } = tuning;
  const keyOf = ({ key }: Payload): Pick<JobOptions, "singletonKey" | "group"> => {
    if (key === undefined || keyedBy === undefined) return {};
    return keyedBy === "groups" ? { group: { id: key } } : { singletonKey: key };
  };
  const open = async (url: string, isWorker: boolean): Promise<PgBoss> => {
    // Only the worker's process maintains the queue: one queue needs one maintainer.
    const boss = new PgBoss({
      connectionString: url,
      ...tuning.boss,
      ...(isWorker ? {} : { supervise: false, schedule: false }),
    });
    boss.on("error", () => {}); // it retries reported errors; a lost job shows in the tally
    await boss.start();
    return boss;
  };
  return {
    name,
    isDefault: options === "defaults",
    store: "postgresql",
    hasDelay: true,
    options,
    // It fetches batches, and a batch occupies its worker until the batch's last job ends.
    slots: (tuning.work.batchSize ?? 1) * (tuning.work.localConcurrency ?? 1),
    packageName: "pg-boss",
    // A job of the same queue: a job of another queue would be in another partition.
    sql: {
      fill: `insert into pgboss.job (name, data)
             select 'bench', jsonb_build_object('n', n) from generate_series(0, $1::integer - 1) n`,
      insertOther: "insert into pgboss.job (name, data) values ('bench', '{}')",
      claims: "%pgboss.job%skip locked%",
      claimed: `select (data ->> 'n')::integer as n, extract(epoch from started_on)::float8 * 1000 as at
                  from pgboss.job where name = 'bench' and state = 'active'`,
    },
    stageOf(statement) {
      if (statement.includes("insert into pgboss.job")) return "enqueue";
      if (statement.includes("skip locked")) return "claim";
      return statement.includes("completed") ? "settle" : undefined;
    },
    async prepare(url) {
      const boss = await open(url, false);
      await boss.createQueue(queue, tuning.queue);
      await boss.stop({ graceful: false });
    },
    async openProducer(url) {
      const boss = await open(url, false);
      const pool = openPool(url, 1);
      return {
        enqueue: (payload) => boss.send(queue, payload),
        enqueueAt: (payload, runAtMs) => boss.send(queue, payload, { startAfter: new Date(runAtMs) }),
        enqueueMany: (payloads) =>
          boss.insert(
            queue,
            payloads.map((data) => ({ data, ...keyOf(data) })),
          ),
        async isEmpty() {
          const { rows } = await pool.query(
            `select not exists (select from pgboss.job where name = $1 and state < 'completed') as "isEmpty"`,
            [queue],
          );
          return rows[0].isEmpty === true;
        },
        async close() {
          await boss.stop({ graceful: false });
          await pool.end();
        },
      };
    },
    async openClaimer(url) {
      const boss = await open(url, false);
      return {
        claim: async (limit) => (await boss.fetch(queue, { batchSize: limit })).length,
        close: () => boss.stop({ graceful: false }),
      };
    },
    async startWorker(url, handle, { keys } = {}) {
      const boss = await open(url, true);
      const work = keyedBy === undefined ? tuning.work : { ...tuning.work, ...tunedFor(keys) };
      await boss.work<Payload>(queue, work, async (jobs) => {
        await handleAll(
          jobs.map(({ data }) => data),
          handle,
        );
      });
    },
  };
}

export const pgBossBest = pgBoss("pg-boss", JSON.stringify(best), best);
export const pgBossDefault = pgBoss("pg-boss-default", "defaults", { boss: {}, queue: {}, work: {} });

const keyed: Tuning = {
  queue: {}, // without notifications, since its rest between polls is longer with them
  boss: { supervise: true, superviseIntervalSeconds: 1, monitorIntervalSeconds: 1, queueCacheIntervalSeconds: 1 },
  work: { ...best.work, localConcurrency: 1 },
};
const keyedWords = `${JSON.stringify({ ...keyed.boss, ...keyed.work })}, batches no larger than the number of keys`;

export const pgBossSingleton = pgBoss("pg-boss-singleton", `policy singleton, ${keyedWords}`, {
  ...keyed,
  queue: { ...keyed.queue, policy: "singleton" },
  keyedBy: "singleton",
});
export const pgBossGroups = pgBoss("pg-boss-groups", `groupConcurrency 1, ${keyedWords}`, {
  ...keyed,
  work: { ...keyed.work, groupConcurrency: 1 },
  keyedBy: "groups",
});
