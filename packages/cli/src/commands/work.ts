import { type Database, doctor, getStats, type Logger, openDatabase } from "@hark/core";
import { createWorker, runUntilSignalled, type Worker } from "@hark/worker";
import { command } from "../command.ts";
import { type Connection, findConnection, withDatabase } from "../connection.ts";
import { leaveSigtermToWorker } from "../early-signals.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { chooseQueues } from "../queues-flag.ts";
import { commandLogger } from "../terminal-logger.ts";
import { UsageError } from "../usage-error.ts";
import { handlersOf, loadModule, settingsOf } from "../user-module.ts";
import { drained, tallyOf } from "../work-once.ts";

export const workCommand = command({
  examples: ["hark work jobs.ts --queues email:10,default:5", "hark work dist/jobs.js --once"],
  usage: "<module>",
  about: `Runs the jobs that the module has handlers for, until SIGTERM or Ctrl-C. Then it claims no more jobs, waits until the running
ones have ended, and exits. A second signal aborts them, a third ends the process at once. The module exports

  export const handlers = [implement(job, async ({ payload }) => { ... })];
  export const queues = { email: 10 };              // optional: how many jobs of a queue may run at once
  export const schedules = [schedule(job, "0 9 * * 1", { tz: "Europe/Zurich" })];    // optional: recurring jobs
  export const workerOptions = { lease: "30s" };    // optional: options of createWorker

Node 22.18 and newer run TypeScript without compiling. Logs go to stderr, as plain lines on a terminal and as JSON otherwise.
LOG_LEVEL sets the least level that is logged.`,
  words: { least: 1, most: 1 },
  flags: {
    queues: {
      type: "string",
      value: "<a:10,b:5>",
      help: "only these queues, each with how many of its jobs may run at once",
    },
    concurrency: { type: "string", value: "<n>", help: "for queues without a number of their own; default 10" },
    once: { type: "boolean", help: "run the ready jobs and exit; the exit code is 1 if an attempt failed" },
    name: { type: "string", value: "<name>", help: "a label for people; default: host and process id" },
  },
  handlesSignals: true,
  async run({ values, words: [file = ""], output }) {
    if (output.isJson && !values.once)
      throw new UsageError("--json needs --once: a worker that keeps running has no final result to print.");
    const connection = await findConnection(values);
    const module = await loadModule(file);
    const settings = settingsOf(module);
    const handlers = handlersOf(module);
    const queues = chooseQueues({
      handlers,
      queues: values.queues,
      concurrency: values.concurrency,
      ofModule: settings.queues,
    });
    let worker: Worker | undefined;
    let isInterrupted = false;
    process.on("SIGINT", () => {
      isInterrupted = true;
      if (!worker) process.exit(exitCodes.interrupted); // once started, the worker handles the signal
    });

    const { ready, isHeard } = await look(connection, Object.keys(queues));
    const logger = settings.logger ?? commandLogger();
    const listenUrl = connection.listenUrl ?? settings.listenUrl;
    worker = createWorker({
      ...settings,
      connectionString: connection.url,
      listenUrl,
      ...(!isHeard && { isPooled: true }), // it is probably a transaction pooler, which refuses session settings
      handlers,
      queues,
      logger,
      ...(values.name !== undefined && { name: values.name }),
    });
    const lanes = Object.entries(queues)
      .map(([queue, limit]) => `${queue}:${limit}`)
      .join(", ");
    const listening = isHeard ? "LISTEN ok" : `polling, as no notifications arrive ("hark doctor" shows why)`;
    output.note(`working on queues ${lanes}; ${listening}; ${ready} ready`);

    const types = handlers.map(({ job }) => job.type);
    const running: Promise<ExitCode> = values.once
      ? workOnce({ worker, connection, queues: Object.keys(queues), types, logger, output })
      : worker.run().then(() => exitCodes.ok);
    leaveSigtermToWorker(); // it has its own handler by now
    const code = await running;
    return isInterrupted ? exitCodes.interrupted : code;
  },
});

interface OneRun {
  readonly worker: Worker;
  readonly connection: Connection;
  readonly queues: readonly string[];
  readonly types: readonly string[];
  readonly logger: Logger;
  readonly output: Output;
}

async function workOnce({ worker, connection, queues, types, logger, output }: OneRun): Promise<ExitCode> {
  const tally = tallyOf(worker);
  const starting = worker.start();
  const signalled = runUntilSignalled(worker, logger, starting); // handles signals from here on
  await withDatabase(connection, async (db) => {
    const done = starting.then(() => drained(worker, db, queues, new Set(types)));
    await Promise.race([signalled, done]);
    await worker.stop();
  });
  const { completed, retried, dead, other } = tally;
  output.line(
    `ran ${completed + retried + dead + other}: ${completed} completed, ${retried} to be retried, ${dead} dead, ${other} other`,
  );
  output.document(tally);
  return retried + dead > 0 ? exitCodes.finding : exitCodes.ok;
}

/**
 * Returns the facts of the first line: how many jobs are ready, and whether notifications arrive.
 */
function look(connection: Connection, queues: readonly string[]): Promise<{ ready: number; isHeard: boolean }> {
  return withDatabase(connection, async (db) => {
    const { queues: counts } = await getStats(db);
    const ready = queues.reduce((sum, queue) => sum + (counts[queue]?.ready ?? 0), 0);
    return { ready, isHeard: await hears(db, connection.listenUrl) };
  });
}

async function hears(db: Database, listenUrl: string | undefined): Promise<boolean> {
  const listening =
    listenUrl === undefined
      ? db
      : openDatabase({ connectionString: listenUrl, applicationName: "hark", maxConnections: 1, isPooled: true });
  try {
    return (await doctor.probeListen(listening, db)) !== undefined;
  } catch {
    return false; // the worker's own listener logs why, and keeps trying
  } finally {
    if (listening !== db) await listening.close();
  }
}
