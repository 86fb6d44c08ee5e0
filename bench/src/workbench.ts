import { startEmbedded } from "@hark/test/database";
import { type Database, migrate, openDatabase, silentLogger } from "@hark/core";
import { createProducer, type Producer } from "@hark/producer";
import { createWorker, type Handler, type Worker, type WorkerOptions } from "@hark/worker";

/** A durable database of its own, and what a scenario needs to measure Hark on it. */
export interface Workbench extends AsyncDisposable {
  readonly url: string;
  readonly settings: string;
  readonly db: Database;
  readonly producer: Producer;
  /** Starts a worker with the defaults, and resolves once it listens. */
  readonly startWorker: (handlers: Handler[], options?: Partial<WorkerOptions>) => Promise<Worker>;
}

export async function openWorkbench(): Promise<Workbench> {
  await using stack = new AsyncDisposableStack();
  const postgres = await startEmbedded({ durable: true, settings: { shared_preload_libraries: "pg_stat_statements" } });
  stack.defer(() => postgres.stop());
  await migrate({ connectionString: postgres.url });
  const db = openDatabase({ connectionString: postgres.url, applicationName: "bench" });
  stack.defer(() => db.close());
  await db.query({ text: "create extension pg_stat_statements", values: [] });
  const producer = createProducer({ connectionString: postgres.url });
  stack.defer(() => producer.close());
  const { rows } = await db.query({
    text: `select string_agg(name || ' ' || setting, ', ' order by name) as settings from pg_settings
            where name in ('fsync', 'synchronous_commit', 'shared_buffers', 'full_page_writes', 'autovacuum')`,
    values: [],
  });
  const owned = stack.move();
  return {
    url: postgres.url,
    settings: `PostgreSQL ${postgres.version}, ${String(rows[0]!.settings)}, Node ${process.versions.node}`,
    db,
    producer,
    async startWorker(handlers, options = {}) {
      const worker = createWorker({ connectionString: postgres.url, handlers, logger: silentLogger, ...options });
      await worker.start();
      await worker.whenListening();
      return worker;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The value below which a share of all measurements lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}
