import { randomUUID } from "node:crypto";
import { defineJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { createProducer, type JobRequest } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";
import type { Adapter, BenchProducer, Payload } from "../adapter.ts";

const job = defineJob("bench");

type Keys = "as keys" | "ignored";

const requestOf = (payload: Payload, keys: Keys): JobRequest<typeof job> =>
  payload.key === undefined || keys === "ignored" ? { job, payload } : { job, payload, options: { key: payload.key } };

/** Hark with its defaults: only the logger is set, and history is kept. */
export const hark: Adapter = {
  name: "hark",
  store: "postgresql",
  hasDelay: true,
  hasManyQueues: true,
  options: "defaults, history kept",
  slots: 10, // the default of createWorker()
  sql: {
    insertOther: "select hark.enqueue('other', '{}')",
    insert: "select hark.enqueue('bench', $1::jsonb)",
    insertKeyed: "select hark.enqueue('bench', $1::jsonb, key => $2)",
    disableTriggers: "alter table hark.jobs disable trigger user",
    enableTriggers: "alter table hark.jobs enable trigger user",
    fill: `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
           select 'default', 'bench', jsonb_build_object('n', n), 0, 0, 3, 0, now(), now(), 'ready'
             from generate_series(0, $1::integer - 1) n`,
    fillOther: `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
                select 'default', 'other', '{}', 0, 0, 3, 0, now(), now(), 'ready' from generate_series(1, $1::integer)`,
    claims: "%insert into hark.running_jobs%",
    claimed: `select (payload ->> 'n')::integer as n, extract(epoch from started_at)::float8 * 1000 as at from hark.running_jobs`,
    questions: "%asked (queue)%exists%",
  },
  stageOf(statement) {
    if (statement.includes("hark.insert_jobs(")) return "enqueue";
    const [doesSettle, doesClaim] = [statement.includes("settled as ("), statement.includes("next as materialized (")];
    if (doesSettle && doesClaim) return "settle and claim in one";
    return doesSettle ? "settle" : doesClaim ? "claim" : undefined;
  },
  async prepare(url) {
    await migrate({ connectionString: url });
  },
  openProducer: (url) => openProducer(url, "as keys"),
  async openClaimer(url) {
    // Set like a worker's own connection for claims.
    const db = openDatabase({
      connectionString: url,
      maxConnections: 1,
      plansByIndex: true,
    });
    const worker = randomUUID();
    const lease = { name: "bench", hostname: "bench", pid: process.pid, queues: "{}", leaseMs: 600_000 };
    await statements.registerWorker(db, { id: worker, ...lease });
    return {
      async claim(limit) {
        const request = { queue: job.queue, limit, worker, token: randomUUID(), types: [job.type] };
        return (await statements.claimJobs(db, request)).jobs.length;
      },
      close: () => db.close(),
    };
  },
  async startWorker(url, handle, { queues = 1 } = {}) {
    const others = Array.from({ length: queues - 1 }, (_, n) => defineJob(`bench-${n}`, { queue: `empty-${n}` }));
    const worker = createWorker({
      connectionString: url,
      handlers: [job, ...others].map((each) => implement(each, ({ payload }) => handle(payload as Payload))),
      logger: silentLogger,
    });
    await worker.start();
    await worker.whenListening(AbortSignal.timeout(30_000));
  },
};

/** The same jobs as Hark's, enqueued without their keys. */
export const harkWithoutKeys: Adapter = {
  ...hark,
  name: "hark-without-keys",
  options: "as hark, but jobs are enqueued without their keys",
  ignoresKeys: true,
  openProducer: (url) => openProducer(url, "ignored"),
};

async function openProducer(url: string, keys: Keys): Promise<BenchProducer> {
  const producer = createProducer({ connectionString: url });
  const db = openDatabase({ connectionString: url, maxConnections: 1, applicationName: "bench" });
  return {
    enqueue: (payload) => producer.enqueue(job, payload, requestOf(payload, keys).options),
    enqueueAt: (payload, runAtMs) => producer.enqueue(job, payload, { runAt: new Date(runAtMs) }),
    enqueueMany: (payloads) => producer.enqueueMany(payloads.map((payload) => requestOf(payload, keys))),
    async isEmpty() {
      const { rows } = await db.query({
        text: `select not exists (select from hark.jobs) and not exists (select from hark.running_jobs) as "isEmpty"`,
        values: [],
      });
      return rows[0]!.isEmpty === true;
    },
    async close() {
      await producer.close();
      await db.close();
    },
  };
}
