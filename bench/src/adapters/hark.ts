import { defineJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { createProducer } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";
import type { Adapter, Payload } from "../adapter.ts";

const job = defineJob("bench");

/** Hark as it comes: no option is set but the logger's, and history is kept. */
export const hark: Adapter = {
  name: "hark",
  store: "postgresql",
  options: "defaults, history kept",
  async prepare(url) {
    await migrate({ connectionString: url });
  },
  async openProducer(url) {
    const producer = createProducer({ connectionString: url });
    const db = openDatabase({ connectionString: url, maxConnections: 1, applicationName: "bench" });
    return {
      enqueue: (payload) => producer.enqueue(job, payload),
      enqueueMany: (payloads) => producer.enqueueMany(payloads.map((payload) => ({ job, payload }))),
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
  },
  async startWorker(url, handle) {
    const worker = createWorker({
      connectionString: url,
      handlers: [implement(job, ({ payload }) => handle(payload as Payload))],
      logger: silentLogger,
    });
    await worker.start();
    await worker.whenListening(AbortSignal.timeout(30_000));
  },
};
