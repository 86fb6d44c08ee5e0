import { randomUUID } from "node:crypto";
import { openDatabase, silentLogger } from "@hark/core";
import { orLate } from "@hark/core/internal";
import { createProducer } from "@hark/producer";
import { createWorker, type Handler, type Worker, type WorkerOptions } from "@hark/worker";
import { vi } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { Ledger } from "./ledger.ts";
import { startProxy } from "./proxy.ts";
import { startWorkerProcess, type WorkerProcess, type WorkerProcessOptions } from "./worker-process.ts";

// Starting a process may take long on a busy machine. Each thing that a test waits for has a
// deadline of its own.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

/** Starts a worker in this process that listens already. It is stopped at the end of the test. */
export type StartWorker = (handlers: readonly Handler[], options?: Partial<WorkerOptions>) => Promise<Worker>;

/**
 * Starts a worker in a process of its own, which is killed at the end of the test. It is ready
 * unless `awaitReady` is false.
 */
export type StartProcess = (
  options?: Partial<WorkerProcessOptions> & { awaitReady?: boolean },
) => Promise<WorkerProcess>;

/** A test on Hark in a database of its file's own. `queue` is used by no other test. */
export const test = base
  .extend("db", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const db = openDatabase({ connectionString: databaseUrl, maxConnections: 8, applicationName: "hark test" });
    onCleanup(async () => void (await orLate(db.close(), 5_000))); // a failed test may have left a client checked out
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
  /** A proxy before the file's database, for code that gets its URL. */
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
