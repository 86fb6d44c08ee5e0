import { type ConstructorOptions, PgBoss, type Queue, type WorkOptions } from "pg-boss";
import { type Adapter, handleAll, type Payload } from "../adapter.ts";
import { openPool } from "../pool.ts";

const queue = "bench";

interface Tuning {
  readonly boss: Omit<ConstructorOptions, "connectionString">;
  readonly queue: Omit<Queue, "name">;
  readonly work: WorkOptions;
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

function pgBoss(name: string, options: string, tuning: Tuning): Adapter {
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
            payloads.map((data) => ({ data })),
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
    async startWorker(url, handle) {
      const boss = await open(url, true);
      await boss.work<Payload>(queue, tuning.work, async (jobs) => {
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
