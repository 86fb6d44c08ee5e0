import { existsSync } from "node:fs";
import { join } from "node:path";
import { defineJob, getJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { createProducer } from "@hark/producer";
import { startEmbedded } from "@hark/test/database";
import { createWorker, implement } from "@hark/worker";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test as base } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";

/*
 * A claim of plain jobs does not wait for the disk (docs/decisions/0024). If the server crashes
 * between the claim and its confirmation, the claim is undone although the job already runs. Here
 * the first run of a job crashes the server, either at once or when its claim is on the disk.
 */

vi.setConfig({ testTimeout: 120_000 });

const test = base.extend("crashing", async ({ queue }, { onCleanup }) => {
  // The server's background writer is held up, so that only commits that wait write to the disk.
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    await startEmbedded({ durable: true, settings: { wal_writer_delay: "10s", autovacuum: "off" } }),
  );
  await migrate({ connectionString: server.url });
  const db = openDatabase({ connectionString: server.url });
  stack.defer(() => db.close());
  const producer = createProducer({ database: db });
  const restarted = Promise.withResolvers<void>();
  /**
   * Resolves when everything written so far is on the disk. It only reads, so it flushes nothing
   * itself.
   */
  async function untilFlushed(): Promise<void> {
    const { rows } = await db.pool.query<{ lsn: string }>("select pg_current_wal_insert_lsn() as lsn");
    const isFlushed = "select where pg_current_wal_flush_lsn() >= $1::pg_lsn";
    await eventually(async () => (await db.pool.query(isFlushed, [rows[0]!.lsn])).rowCount, {
      withinMs: 5_000,
      what: "the claim on the disk",
    });
  }
  const runs: { attempt: number; token: string; toldBeforeRestart: string | undefined }[] = [];
  const handler = implement(defineJob("test.crash", { queue }), async ({ payload, attempt, token, signal }) => {
    const run = { attempt, token, toldBeforeRestart: undefined as string | undefined };
    if (runs.push(run) > 1) return;
    let isBack = false;
    signal.addEventListener("abort", () => {
      if (!isBack) run.toldBeforeRestart = (signal.reason as { code?: string }).code;
    });
    try {
      if ((payload as { isPatient?: true }).isPatient) await untilFlushed();
      const stopped = server.stopImmediately();
      // Blocks the event loop until the server has ended, so that the worker sends no statement
      // before that.
      const lockFile = join(server.directory, "data", "postmaster.pid");
      for (const endsAt = performance.now() + 10_000; existsSync(lockFile) && performance.now() < endsAt;);
      await stopped;
      await server.start();
      isBack = true;
      restarted.resolve();
    } catch (error) {
      restarted.reject(error);
      throw error;
    }
    signal.throwIfAborted();
  });
  const worker = createWorker({
    connectionString: server.url,
    handlers: [handler],
    logger: silentLogger,
    lease: "5m",
  });
  stack.defer(() => worker.stop("now"));
  await worker.start();
  await worker.whenListening(AbortSignal.timeout(30_000));
  const owned = stack.move();
  onCleanup(() => owned.disposeAsync());
  return { db, producer, job: handler.job, runs, restarted: restarted.promise };
});

test(
  "a job whose claim a crash undid is aborted at once, and runs again as the same attempt",
  { tags: ["FM-47", "OWNED-5"] },
  async ({ crashing: { db, producer, job, runs, restarted } }) => {
    const { id } = await producer.enqueue(job, {});
    await restarted;

    const { attempt } = await untilState(db, id, "completed", { withinMs: 60_000 });

    expect(runs).toMatchObject([{ attempt: 1, toldBeforeRestart: "LEASE_LOST" }, { attempt: 1 }]);
    expect(new Set(runs.map(({ token }) => token)).size).toBe(2);
    expect(attempt).toBe(1);
  },
);

test.for([
  ["that has a key", {}, { key: "one at a time" }],
  ["that may be tried only once", {}, { maxAttempts: 1 }],
  ["that has run for a moment", { isPatient: true }, {}],
] as const)(
  "the claim of a job %s is on the disk: a crash does not undo it, and the job runs once",
  { tags: ["FM-47", "OWNED-5"] },
  async ([, payload, options], { crashing: { db, producer, job, runs, restarted } }) => {
    const { id } = await producer.enqueue(job, payload, options);
    await restarted;

    await untilState(db, id, "completed", { withinMs: 60_000 });

    expect(runs).toMatchObject([{ attempt: 1, toldBeforeRestart: undefined }]);
    expect((await getJob(db, id))!.attempts).toEqual([]);
  },
);
