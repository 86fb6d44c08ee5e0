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

/**
 * For jobs with few keys, without the local queue: that fetches a batch for all loops, and rests
 * until the next poll if the batch was not full, which it never is with few keys. Without it each
 * loop fetches its own next job. Of 2, 4 and 24 loops, polls every 1 and 2,000 ms, and completions
 * alone or in batches, these were the fastest for 10 keys and for one. More loops collide. With one
 * key a loop looks before its last job is written as completed, so that only polls go on.
 */
const manyLoops = { concurrentJobs: 4, maxPoolSize: 6, completeJobBatchDelay: 0 };
const oneKey = { concurrentJobs: 2, maxPoolSize: 4, pollInterval: 1 };

function graphileWorker(
  name: string,
  options: string,
  worker: GraphileConfig.WorkerOptions,
  tunedFor?: (keys: number) => GraphileConfig.WorkerOptions,
): Adapter {
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
      fillOther: `with task as (insert into graphile_worker._private_tasks (identifier) values ('other') returning id)
                  insert into graphile_worker._private_jobs (task_id, payload)
                  select task.id, '{}' from task, generate_series(1, $1::integer)`,
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
        enqueueMany: (payloads) =>
          utils.addJobs(
            payloads.map((payload) => ({
              identifier: "bench",
              payload,
              ...(payload.key === undefined ? {} : { queueName: payload.key }),
            })),
          ),
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
    async startWorker(url, handle, { keys } = {}) {
      const tuned = (keys === undefined ? undefined : tunedFor?.(keys)) ?? worker;
      await run({
        preset: { worker: { connectionString: url, logger, ...tuned } },
        taskList: { bench: (payload) => handle(payload as Payload) },
        noHandleSignals: true,
      });
    },
  };
}

export const graphileWorkerBest = graphileWorker("graphile-worker", JSON.stringify(best), best);
export const graphileWorkerDirect = graphileWorker(
  "graphile-worker-direct",
  `${JSON.stringify(manyLoops)}; with one key ${JSON.stringify(oneKey)}`,
  manyLoops,
  (keys) => (keys === 1 ? oneKey : manyLoops),
);
export const graphileWorkerDefault = graphileWorker("graphile-worker-default", "defaults", {});
