import pg from "pg";
import { createLogger, createProducer, createWorker, readEnvironment } from "pg-hark";
import { crawlHandlers } from "./handlers.ts";

/**
 * One worker process of DataShelf, configured by the environment. Run any number of them, on any
 * machine.
 */
const environment = readEnvironment();
const pool = new pg.Pool({
  connectionString: environment.databaseUrl,
  max: environment.concurrency,
  application_name: "datashelf",
});
pool.on("error", () => {}); // if the server closes an idle client, the pool replaces it
const producer = createProducer({ pool });

const worker = createWorker({
  connectionString: environment.databaseUrl,
  listenUrl: environment.listenUrl,
  handlers: crawlHandlers({ pool, producer, ...environment }),
  queues: environment.concurrency,
  lease: environment.leaseMs,
  pollInterval: environment.pollIntervalMs,
  promoteInterval: environment.delayedIntervalMs,
  logger: createLogger(environment.logLevel),
});

// The demo started this process. Without the demo there is no work. The demo may have ended before
// this process could notice.
const hasLostTheDemo = () => process.send !== undefined && !process.connected;
process.once("disconnect", () => void worker.stop("now"));
if (hasLostTheDemo()) process.exit(1);
await worker.start();
if (!hasLostTheDemo()) process.send?.("started");
await worker.run();
await pool.end();
if (process.connected) process.disconnect();
