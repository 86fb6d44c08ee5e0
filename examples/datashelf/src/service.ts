import {
  createLogger,
  describeEnvironment,
  JobManager,
  readEnvironment,
  runUntilSignalled,
  startServer,
} from "pg-hark";
import { ownPostgres } from "./own-postgres.ts";
import { processPage } from "./process-page.ts";

/**
 * The DataShelf service: a JobManager that fetches pages, and its HTTP API. `npm start` runs it,
 * configured by the environment, until SIGTERM or Ctrl-C.
 */
const say = (line: string) => void process.stdout.write(`${line}\n`);

async function serve(): Promise<void> {
  await using parts = new AsyncDisposableStack();
  parts.defer(await ownPostgres(say));
  const environment = readEnvironment();
  for (const line of describeEnvironment(environment)) say(`  ${line}`);
  const logger = createLogger(environment.logLevel);

  const manager = parts.use(new JobManager({ logger }));
  await manager.initialize();
  manager.setJobProcessor(async (job) => {
    const facts = { jobId: job.id, type: job.type, url: job.target_url, attempt: job.attempts };
    logger.debug(facts, "job started");
    return processPage(job);
  });
  await manager.start();

  const server = await startServer({
    connectionString: environment.databaseUrl,
    jobs: manager.jobs,
    runtime: manager,
    port: environment.port,
    logger,
    ...(environment.apiToken !== undefined && { token: environment.apiToken }),
  });
  parts.defer(() => server.close());
  say(`The API answers at ${server.url}/api/queue/stats. Ctrl-C stops the service.`);
  await runUntilSignalled(manager, logger);
}

try {
  await serve();
} catch (error) {
  process.stderr.write(`The service failed: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
