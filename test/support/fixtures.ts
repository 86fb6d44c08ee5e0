import { randomUUID } from "node:crypto";
import { openDatabase, orLate, silentLogger } from "@hark/core";
import { createProducer } from "@hark/producer";
import { createWorker, type Handler, type Worker, type WorkerOptions } from "@hark/worker";
import { vi } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { Ledger } from "./ledger.ts";
import { startProxy } from "./proxy.ts";
import { startWorkerProcess, type WorkerProcess, type WorkerProcessOptions } from "./worker-process.ts";

// Starting a process may take long on a busy machine. Every fact that a test waits for has a deadline of its own.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

/** Starts a worker in this process, listening, which the end of the test stops. */
export type StartWorker = (handlers: readonly Handler[], options?: Partial<WorkerOptions>) => Promise<Worker>;

/** Starts a worker as a process of its own, which the end of the test kills; ready unless `awaitReady` is false. */
export type StartProcess = (
  options?: Partial<WorkerProcessOptions> & { awaitReady?: boolean },
) => Promise<WorkerProcess>;

/** A test on Hark in a database that its file shares with no other; `queue` is a lane that it shares with no other test. */
export const test = base
  .extend("db", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const db = openDatabase({ connectionString: databaseUrl, maxConnections: 8, applicationName: "hark test" });
    onCleanup(async () => void (await orLate(db.close(), 5_000))); // a test that failed may have left a client checked out
    return db;
  })
  .extend("producer", { scope: "file" }, ({ db }) => createProducer({ database: db }))
  .extend("queue", () => `q-${randomUUID().slice(0, 13)}`)
  .extend("startWorker", ({ databaseUrl }, { onCleanup }): StartWorker => {
    const workers: Worker[] = [];
    onCleanup(async () => void (await Promise.all(workers.map((worker) => worker.stop("now")))));
    return async (handlers, options = {}) => {
      const worker = createWorker({
        connectionString: databaseUrl,
        logger: silentLogger,
        abortTimeout: "500ms",
        handlers,
        ...options,
      });
      workers.push(worker);
      await worker.start();
      await worker.whenListening(AbortSignal.timeout(60_000));
      return worker;
    };
  })
  /** Before the file's database, for whoever is given its url. */
  .extend("proxy", async ({ databaseUrl }, { onCleanup }) => {
    const proxy = await startProxy(databaseUrl);
    onCleanup(() => proxy[Symbol.asyncDispose]());
    return proxy;
  })
  .extend("ledger", async ({ queue }, { onCleanup }) => {
    const ledger = await Ledger.create(queue);
    onCleanup(() => ledger.remove());
    return ledger;
  })
  .extend("startProcess", ({ databaseUrl, queue, ledger }, { onCleanup }): StartProcess => {
    const processes: WorkerProcess[] = [];
    onCleanup(async () => void (await Promise.all(processes.map((process) => process.end()))));
    return async ({ awaitReady = true, ...options } = {}) => {
      const process = startWorkerProcess({ databaseUrl, queue, ledgerFile: ledger.file, ...options });
      processes.push(process);
      if (awaitReady) await process.ready;
      return process;
    };
  });
