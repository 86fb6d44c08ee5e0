import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import type { Adapter, Payload } from "../adapter.ts";
import { openPool } from "../pool.ts";

const logger = new Logger(() => () => {});

/** The tuning of its own performance test, for which its documentation publishes 184,000 jobs/s. */
const best = {
  concurrentJobs: 24,
  maxPoolSize: 26,
  localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

function graphileWorker(name: string, options: string, worker: GraphileConfig.WorkerOptions): Adapter {
  return {
    name,
    isDefault: options === "defaults",
    store: "postgresql",
    hasDelay: true,
    options,
    slots: worker.concurrentJobs ?? 1,
    packageName: "graphile-worker",
    sql: {
      insertOther: "select graphile_worker.add_job('other', '{}')",
      insert: "select graphile_worker.add_job('bench', $1::json)",
      claims: "%_private_jobs%skip locked%",
      claimed: `select (payload ->> 'n')::integer as n, extract(epoch from locked_at)::float8 * 1000 as at
                  from graphile_worker._private_jobs where locked_at is not null`,
    },
    stageOf(statement) {
      if (statement.includes("add_job")) return "enqueue";
      if (statement.includes("skip locked")) return "claim";
      return statement.includes("delete from") ? "settle" : undefined;
    },
    prepare: (url) => runMigrations({ connectionString: url, logger }),
    async openProducer(url) {
      const pool = openPool(url, 10);
      const utils = await makeWorkerUtils({ pgPool: pool, logger });
      return {
        enqueue: (payload) => utils.addJob("bench", payload),
        enqueueAt: (payload, runAtMs) => utils.addJob("bench", payload, { runAt: new Date(runAtMs) }),
        enqueueMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: "bench", payload }))),
        async isEmpty() {
          const { rows } = await pool.query(
            `select not exists (select from graphile_worker._private_jobs) as "isEmpty"`,
          );
          return rows[0].isEmpty === true;
        },
        async close() {
          await utils.release();
          await pool.end();
        },
      };
    },
    async startWorker(url, handle) {
      await run({
        preset: { worker: { connectionString: url, logger, ...worker } },
        taskList: { bench: (payload) => handle(payload as Payload) },
        noHandleSignals: true,
      });
    },
  };
}

export const graphileWorkerBest = graphileWorker("graphile-worker", JSON.stringify(best), best);
export const graphileWorkerDefault = graphileWorker("graphile-worker-default", "defaults", {});
