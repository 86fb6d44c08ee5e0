import pg from "pg";
import { createLogger, createProducer, createWorker, readEnvironment } from "pg-hark";
import { crawlHandlers } from "./handlers.ts";

/** One worker process of DataShelf, configured by the environment: run as many as you like, on any machine. */
const environment = readEnvironment();
const pool = new pg.Pool({
  connectionString: environment.databaseUrl,
  max: environment.concurrency,
  application_name: "datashelf",
});
pool.on("error", () => {}); // an idle client that the server closed: the pool replaces it
const producer = createProducer({ pool });

const worker = createWorker({
  connectionString: environment.databaseUrl,
  listenUrl: environment.listenUrl,
  handlers: crawlHandlers({ pool, producer, ...environment }),
  queues: environment.concurrency,
  lease: environment.lockTtlMs,
  pollInterval: environment.pollIntervalMs,
  promoteInterval: environment.delayedIntervalMs,
  logger: createLogger(environment.logLevel),
});

// Started by the demo: without it there is nobody to work for. It may be gone before anybody could hear of it.
const hasLostTheDemo = () => process.send !== undefined && !process.connected;
process.once("disconnect", () => void worker.stop("now"));
if (hasLostTheDemo()) process.exit(1);
await worker.start();
if (!hasLostTheDemo()) process.send?.("started");
await worker.run();
await pool.end();
if (process.connected) process.disconnect();
