import { createPostgresBackend, Queue, Worker, withBackend } from "bullmq";
import type { Adapter, BenchProducer, Payload } from "../adapter.ts";

const name = "bench";
/** Jobs that one worker runs at once. More did not raise the rate. */
const concurrency = 100;
const defaultJobOptions = { removeOnComplete: true };
const options = `concurrency ${concurrency}, removeOnComplete true`;

/** The part of both backends' queues that is used here. */
interface AnyQueue {
  add(name: string, data: Payload, options?: { delay: number }): Promise<unknown>;
  addBulk(jobs: { name: string; data: Payload }[]): Promise<unknown>;
  getJobCounts(...types: ("waiting" | "active" | "prioritized" | "delayed")[]): Promise<Record<string, number>>;
  close(): Promise<void>;
}

function producerOf(queue: AnyQueue): BenchProducer {
  return {
    enqueue: (payload) => queue.add(name, payload),
    enqueueAt: (payload, runAtMs) => queue.add(name, payload, { delay: Math.max(0, runAtMs - Date.now()) }),
    enqueueMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name, data }))),
    async isEmpty() {
      const counts = await queue.getJobCounts("waiting", "active", "prioritized", "delayed");
      return Object.values(counts).every((count) => count === 0);
    },
    close: () => queue.close(),
  };
}

interface AnyWorker {
  on(event: "error", listener: () => void): unknown;
  waitUntilReady(): Promise<unknown>;
}

async function started(worker: AnyWorker): Promise<void> {
  worker.on("error", () => {}); // it retries reported errors; a lost job shows in the tally
  await worker.waitUntilReady();
}

export const bullmqRedis: Adapter = {
  name: "bullmq-redis",
  store: "redis",
  hasDelay: true,
  options,
  packageName: "bullmq",
  async prepare() {},
  async openProducer(url) {
    const queue = new Queue<Payload>(name, { connection: { url }, defaultJobOptions });
    await queue.waitUntilReady();
    return producerOf(queue);
  },
  startWorker: (url, handle) =>
    started(
      new Worker<Payload>(name, async ({ data }) => handle(data), {
        connection: { url, maxRetriesPerRequest: null },
        concurrency,
      }),
    ),
};

const postgres = withBackend(createPostgresBackend);

export const bullmqPostgres: Adapter = {
  name: "bullmq-postgresql",
  store: "postgresql",
  isSlow: true,
  hasDelay: true,
  options,
  packageName: "bullmq",
  stageOf(statement) {
    if (/\badd_(job|flow|jobs_bulk)/.test(statement)) return "enqueue";
    if (statement.includes("move_to_completed_fetch")) return "settle and claim in one";
    if (statement.includes("move_to_active")) return "claim";
    return statement.includes("move_to_completed") ? "settle" : undefined;
  },
  async prepare(url) {
    const queue = new postgres.Queue<Payload>(name, { connection: { connectionString: url, migrate: true } });
    await queue.waitUntilReady();
    await queue.close();
  },
  async openProducer(url) {
    const queue = new postgres.Queue<Payload>(name, {
      connection: { connectionString: url, max: 10 },
      defaultJobOptions,
    });
    await queue.waitUntilReady();
    return producerOf(queue);
  },
  startWorker: (url, handle) =>
    started(
      new postgres.Worker<Payload>(name, async ({ data }) => handle(data), {
        connection: { connectionString: url, max: 10 },
        concurrency,
      }),
    ),
};
