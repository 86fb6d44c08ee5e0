import { startEmbedded } from "@hark/test/database";
import { createProducer, describeEnvironment, migrate, openDatabase, readEnvironment, silentLogger, startServer } from "pg-hark";
import { startCrawl } from "./crawl.ts";
import { createTables } from "./create-tables.ts";
import { type DemoOptions, readDemoOptions, usage } from "./demo/options.ts";
import { showProgress } from "./demo/progress.ts";
import { summarise, summaryLines } from "./demo/summary.ts";
import { startWorkers } from "./demo/worker-processes.ts";
import { jobByKind } from "./jobs.ts";
import { startShop } from "./shop/index.ts";

/**
 * The main job in one command: an embedded PostgreSQL, the migrations, the HTTP API, worker processes and a crawl. What is
 * started is stopped in reverse, however the demo ends.
 */
async function main(): Promise<number> {
  const options = readDemoOptions(process.argv.slice(2));
  if (!options) {
    say(usage);
    return 0;
  }
  const interrupted = listenForInterrupts();
  await using stack = new AsyncDisposableStack();
  try {
    await runDemo(options, interrupted, stack);
    return 0;
  } catch (error) {
    if (interrupted.aborted) return 130; // what was cut short by Ctrl-C is no failure
    throw error;
  }
}

async function runDemo(options: DemoOptions, interrupted: AbortSignal, stack: AsyncDisposableStack): Promise<void> {
  say("Starting an embedded PostgreSQL ...");
  const postgres = await startEmbedded({ durable: true });
  stack.defer(() => postgres.stop());
  interrupted.throwIfAborted();
  const environment = readEnvironment({ ...demoDefaults, ...process.env, DATABASE_URL: postgres.url });
  for (const line of describeEnvironment(environment)) say(`  ${line}`);

  const db = openDatabase({ connectionString: postgres.url, applicationName: "datashelf demo" });
  stack.defer(() => db.close());
  const applied = await migrate({ connectionString: postgres.url });
  say(`PostgreSQL ${postgres.version} is up, ${applied.length} migrations applied.`);
  const client = await db.pool.connect();
  await createTables(client).finally(() => client.release());

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
  const workers = await startWorkers(options.workers, workerEnvironment(postgres.url), say);
  stack.defer(() => workers.stop());
  say(`Crawling ${startUrl} with ${options.workers} worker processes (${workers.pids.map((pid) => `pid ${pid}`).join(", ")}).`);

  const startedAt = performance.now();
  const mode = options.site === undefined ? "shop" : "site";
  const crawlId = await startCrawl(db.pool, producer, { mode, startUrl, limit: options.limit, retryAttempts: environment.retryAttempts });
  await Promise.race([
    showProgress(db, { crawlId, signal: interrupted }),
    workers.allGone.then((why) => Promise.reject(new Error(`the crawl cannot go on: ${why}`))),
  ]);
  interrupted.throwIfAborted();

  const summary = await summarise(db, { crawlId, seconds: (performance.now() - startedAt) / 1_000 });
  say(["", ...summaryLines(summary), ""].join("\n"));
  if (!process.stdin.isTTY || !process.stdout.isTTY) return;
  say(`The API stays up at ${api.url}/api/queue/stats, and the database at ${postgres.url}. Ctrl-C ends the demo.`);
  await new Promise((resolve) => interrupted.addEventListener("abort", resolve, { once: true }));
}

/** What the environment does not say: brisk for a shop on the same machine, and any free port. */
const demoDefaults = { SCRAPER_CONCURRENT_JOBS: "8", SCRAPER_REQUEST_DELAY: "10", PORT: "0" };

function workerEnvironment(databaseUrl: string): Record<string, string> {
  return { ...demoDefaults, LOG_LEVEL: "silent", ...definedOf(process.env), DATABASE_URL: databaseUrl };
}

function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

async function startOwnShop({ seed, books }: DemoOptions, stack: AsyncDisposableStack): Promise<string> {
  const shop = await startShop({ seed, books });
  stack.defer(() => shop.close());
  say(`A shop of ${books} books opened at ${shop.url}`);
  return shop.url;
}

/** Aborted at the first SIGINT or SIGTERM; later ones are heard and change nothing, so that cleaning up is never cut short. */
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
  process.stderr.write(`The demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
