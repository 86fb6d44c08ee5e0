/**
 * A process for the memory proof: one part of Hark that lives long, and says how much it holds. Run
 * with --expose-gc, and end it by closing its channel.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { cancelJob, createLocks, defineJob, openDatabase, silentLogger } from "@hark/core";
import { PostgresQueue, startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";

/** What a part does when it is asked for work: so many jobs, as its kind has it. */
type Work = (jobs: number) => Promise<unknown>;

export type PartName = "worker" | "producer" | "queue" | "idle queue" | "losing queue" | "locking queue" | "server";

export type PartRequest = { ask: "memory" } | { ask: "work"; jobs: number };

const [name, connectionString] = process.argv.slice(2) as [PartName, string];
const queue = "soak";
const keyed = defineJob("soak.keyed", { queue });
const locked = defineJob("soak.locked", { queue });
const held = defineJob("soak.held", { queue });
const db = openDatabase({ connectionString, maxConnections: 5 });
const logger = silentLogger;

const parts: Record<PartName, () => Promise<Work>> = {
  async worker() {
    const locks = createLocks({ db });
    const worker = createWorker({
      connectionString,
      logger,
      queues: { [queue]: 50 },
      lease: "5s",
      handlers: [
        implement(keyed, () => ({ done: true })),
        implement(locked, async ({ payload }) => {
          const { page } = payload as { page: number };
          await using _lock = await locks.acquire(`page ${page}`, { ttlMs: 60_000, waitMs: 60_000 });
        }),
        implement(held, ({ signal }) => sleep(100, undefined, { signal })),
      ],
    });
    await worker.start();
    return async () => {};
  },

  async producer() {
    const producer = createProducer({ database: db });
    return async (jobs) => {
      const requests = Array.from({ length: jobs }, (_, place) => {
        if (place % 8 === 0) return { job: locked, payload: { page: place % 97 } };
        if (place % 20 === 1) return { job: held, payload: {} };
        const options = place % 2 === 0 ? { key: `key ${place % 101}` } : { uniqueKey: `unique ${place}` };
        return { job: keyed, payload: {}, options };
      });
      const answers = await producer.enqueueMany(requests);
      await Promise.all(Array.from({ length: 50 }, () => producer.enqueue(keyed, {})));
      const cancelled = answers.filter((_, place) => requests[place]!.job === held).map(({ id }) => id);
      for (const id of cancelled) await cancelJob(db, id);
    };
  },

  async queue() {
    const urls = new PostgresQueue({ connectionString, logger, lease: 5_000 });
    return async (jobs) => {
      let left = 0;
      await Promise.all(
        Array.from({ length: 5 }, async (_, caller) => {
          for (let place = caller; place < jobs; place += 5) {
            const url = `https://example.com/${caller}/${place % 7}`;
            await urls.enqueue({ type: "product", target_url: url, metadata: { page: "x".repeat(1_000) } });
            const job = await urls.dequeue({ wait: 100 });
            if (!job) continue;
            const lock = place % 5 === 0 ? await urls.acquireLock(url) : null;
            if (place % 50 === 7) left += 1; // its lease is lost, and nobody settles it
            else if (place % 11 === 0) await urls.failJob(job, new Error("no page"), { retryAfter: 0 }).catch(() => {});
            else if (place % 13 === 0) await cancelJob(db, BigInt(job.id));
            else await urls.completeJob(job, { page: place }).catch(() => {});
            if (lock !== null) await urls.releaseLock(url, lock);
          }
        }),
      );
      return left;
    };
  },

  /** Waits for jobs, and there are none. */
  async "idle queue"() {
    const urls = new PostgresQueue({ connectionString, logger });
    return (waits) =>
      Promise.all(
        Array.from({ length: 5 }, async () => {
          for (let wait = 0; wait < waits / 5; wait += 1) await urls.dequeue({ wait: 1 });
        }),
      );
  },

  /** Takes jobs that it never settles. */
  async "losing queue"() {
    const urls = new PostgresQueue({ connectionString, logger });
    return async (jobs) => {
      for (let each = 0; each < jobs; each += 1) {
        const metadata = { page: String(each).repeat(100_000).slice(0, 100_000) };
        await urls.enqueue({ type: "product", target_url: `https://example.com/${each}`, metadata });
        await urls.dequeue({ wait: 10_000 });
      }
    };
  },

  /** Takes locks for ten minutes, and releases them at once. */
  async "locking queue"() {
    const urls = new PostgresQueue({ connectionString, logger, lockTTL: 600_000 });
    return (locks) =>
      Promise.all(
        Array.from({ length: 5 }, async (_, caller) => {
          for (let each = 0; each < locks / 5; each += 1) {
            const page = `https://example.com/${caller}`;
            await urls.releaseLock(page, (await urls.acquireLock(page))!);
          }
        }),
      );
  },

  async server() {
    const { url } = await startServer({ database: db, port: 0, logger, rateLimit: false });
    return async (jobs) => {
      for (let place = 0; place < jobs; place += 1) {
        const body = JSON.stringify({ type: "product", target_url: `https://example.com/${place}` });
        const headers = { "content-type": "application/json" };
        await (await fetch(`${url}/api/queue/jobs`, { method: "POST", headers, body })).text();
        if (place % 20 === 0) await (await fetch(`${url}/api/queue/stats`)).text();
        if (place % 20 === 10) await (await fetch(`${url}/api/queue/dead-letter`)).text();
        if (place % 20 === 15) await (await fetch(`${url}/api/queue/none`)).text();
      }
    };
  },
};

/** Bytes that are left after collections; several, since what ends in one may free more. */
async function heldBytes(): Promise<number> {
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc!();
    await sleep(100);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const work = await parts[name]();
process.on("message", (request: PartRequest) => {
  const answer = request.ask === "memory" ? heldBytes() : work(request.jobs);
  answer.then(
    (value) => process.send!({ value: typeof value === "number" ? value : 0 }),
    (error: unknown) => process.send!({ error: String((error as Error).stack) }),
  );
});
process.once("disconnect", () => process.exit());
process.send!({ value: 0 });
