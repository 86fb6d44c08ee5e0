import {
  createProducer,
  describeEnvironment,
  type Environment,
  InvalidOptionsError,
  migrate,
  openDatabase,
  readEnvironment,
  silentLogger,
  startServer,
} from "pg-hark";
import { startCrawl } from "./crawl.ts";
import { createTables } from "./create-tables.ts";
import { openPostgres } from "./demo/open-postgres.ts";
import { type DemoOptions, readDemoOptions, UsageError, usage } from "./demo/options.ts";
import { showProgress } from "./demo/progress.ts";
import { summarise, summaryLines } from "./demo/summary.ts";
import { startWorkers } from "./demo/worker-processes.ts";
import { jobByKind } from "./jobs.ts";
import { startShop } from "./shop/index.ts";

/**
 * Runs the whole demo in one command: an embedded PostgreSQL, the migrations, the HTTP API, worker
 * processes and a crawl. However the demo ends, its parts are stopped in reverse order.
 */
async function main(): Promise<number> {
  const options = readDemoOptions(process.argv.slice(2));
  if (!options) {
    say(usage);
    return 0;
  }
  const interrupted = listenForInterrupts();
  try {
    await using stack = new AsyncDisposableStack();
    await runDemo(options, interrupted, stack);
    return 0;
  } catch (error) {
    // A demo that Ctrl-C cut short did not fail. Checked after everything is stopped, because a
    // worker may get the signal before this process.
    if (interrupted.aborted) return 130;
    throw error;
  }
}

async function runDemo(options: DemoOptions, interrupted: AbortSignal, stack: AsyncDisposableStack): Promise<void> {
  readDemoEnvironment(options, "postgres://not-known-yet/"); // rejects bad values before anything is started
  if (options.database === undefined) say("Starting an embedded PostgreSQL ...");
  const postgres = await openPostgres(options.database);
  stack.defer(() => postgres.stop());
  interrupted.throwIfAborted();
  const environment = readDemoEnvironment(options, postgres.url);
  for (const line of describeEnvironment(environment)) say(`  ${line}`);

  const db = openDatabase({ connectionString: postgres.url, applicationName: "datashelf demo" });
  stack.defer(() => db.close());
  const applied = await migrate({ connectionString: postgres.url });
  say(`The ${postgres.describe} is up, ${applied.length} migrations applied.`);
  const client = await db.pool.connect();
  await createTables(client).finally(() => client.release());
  interrupted.throwIfAborted();

  const producer = createProducer({ database: db });
  const api = await startServer({
    producer,
    database: db,
    jobs: Object.values(jobByKind),
    port: environment.port,
    logger: silentLogger,
    ...(environment.apiToken === undefined ? {} : { token: environment.apiToken }),
  });
  stack.defer(() => api.close());
  say(`The API answers at ${api.url}/api/queue/stats`);

  const startUrl = options.site ?? (await startOwnShop(options, stack));
  interrupted.throwIfAborted();
  const workers = startWorkers(options.workers, workerEnvironment(environment), (line) => {
    if (!interrupted.aborted) say(line); // Ctrl-C reaches the workers as well
  });
  stack.defer(() => workers.stop());
  await workers.started;
  say(
    `Crawling ${startUrl} with ${options.workers} worker processes (${workers.pids.map((pid) => `pid ${pid}`).join(", ")}).`,
  );

  const startedAt = performance.now();
  const mode = options.site === undefined ? "shop" : "site";
  const crawlId = await startCrawl(db.pool, producer, {
    mode,
    startUrl,
    limit: options.limit,
    retryAttempts: environment.retryAttempts,
  });
  await Promise.race([
    showProgress(db, { crawlId, signal: interrupted }),
    workers.allGone.then((why) => Promise.reject(new Error(`the crawl cannot go on: ${why}`))),
  ]);
  interrupted.throwIfAborted();

  const summary = await summarise(db, { crawlId, seconds: (performance.now() - startedAt) / 1_000 });
  say(["", ...summaryLines(summary), ""].join("\n"));
  if (options.database !== undefined) say("The tables stay in the given database: schemas hark and datashelf.");
  if (!process.stdin.isTTY || !process.stdout.isTTY || interrupted.aborted) return;
  const database = options.database === undefined ? `, and the database at ${postgres.url}` : "";
  say(`The API stays up at ${api.url}/api/queue/stats${database}. Ctrl-C ends the demo.`);
  await new Promise((resolve) => interrupted.addEventListener("abort", resolve, { once: true }));
}

/**
 * Defaults of the environment: fast, for a shop on the same machine; no log between the lines; any
 * free port.
 */
const demoDefaults = { SCRAPER_CONCURRENT_JOBS: "8", SCRAPER_REQUEST_DELAY: "10", LOG_LEVEL: "silent", PORT: "0" };

/**
 * HARK_LISTEN_URL belongs to a given database. With the embedded one it would name another server.
 */
function readDemoEnvironment({ database }: DemoOptions, databaseUrl: string): Environment {
  const listen = database === undefined ? { HARK_LISTEN_URL: undefined } : {};
  return readEnvironment({ ...demoDefaults, ...process.env, ...listen, DATABASE_URL: databaseUrl });
}

function workerEnvironment({ databaseUrl, listenUrl = "" }: Environment): NodeJS.ProcessEnv {
  return { ...demoDefaults, ...process.env, DATABASE_URL: databaseUrl, HARK_LISTEN_URL: listenUrl };
}

async function startOwnShop({ seed, books }: DemoOptions, stack: AsyncDisposableStack): Promise<string> {
  const shop = await startShop({ seed, books });
  stack.defer(() => shop.close());
  say(`A shop of ${books} books opened at ${shop.url}`);
  return shop.url;
}

/**
 * Aborts at the first SIGINT or SIGTERM. Later signals are ignored, so that they never cut the
 * clean-up short.
 */
function listenForInterrupts(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (!controller.signal.aborted) say("\nStopping ...");
      controller.abort(new Error(`stopped by ${signal}`));
    });
  }
  return controller.signal;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  const wasRefused = error instanceof UsageError || error instanceof InvalidOptionsError;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${wasRefused ? "The demo was not started" : "The demo failed"}: ${message}\n`);
  process.exitCode = wasRefused ? 2 : 1;
}
