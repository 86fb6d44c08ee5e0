import { setTimeout as pause } from "node:timers/promises";
import { defineJob, getJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { createProducer } from "@hark/producer";
import { startEmbedded } from "@hark/test/database";
import { createWorker, implement } from "@hark/worker";
import { expect, vi } from "vitest";
import { test as base } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/*
 * A claim of plain jobs does not wait for the disk (docs/decisions/0024). A crash of the server between the claim and its confirmation
 * undoes it, though the job runs already. Here the first run of a job crashes the server, as its first act if the payload says no other.
 */

vi.setConfig({ testTimeout: 120_000 });

const test = base.extend("crashing", async ({ queue }, { onCleanup }) => {
  // The server's own writer stays away, so that only commits that wait bring anything to the disk.
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    await startEmbedded({ durable: true, settings: { wal_writer_delay: "10s", autovacuum: "off" } }),
  );
  await migrate({ connectionString: server.url });
  const db = openDatabase({ connectionString: server.url });
  stack.defer(() => db.close());
  const producer = createProducer({ database: db });
  const restarted = Promise.withResolvers<void>();
  const runs: { attempt: number; token: string; toldBeforeRestart: string | undefined }[] = [];
  const handler = implement(defineJob("test.crash", { queue }), async ({ payload, attempt, token, signal }) => {
    const run = { attempt, token, toldBeforeRestart: undefined as string | undefined };
    if (runs.push(run) > 1) return;
    const { afterMs } = payload as { afterMs?: number };
    if (afterMs !== undefined) await pause(afterMs);
    const stopped = server.stopImmediately();
    for (const until = performance.now() + 500; performance.now() < until;); // no question of the worker's comes before its end
    await stopped;
    await pause(300);
    run.toldBeforeRestart = (signal.reason as { code?: string } | undefined)?.code;
    await server.start();
    restarted.resolve();
    signal.throwIfAborted();
  });
  const worker = createWorker({
    connectionString: server.url,
    handlers: [handler],
    logger: silentLogger,
    lease: "30s",
  });
  stack.defer(() => worker.stop("now"));
  await worker.start();
  await worker.whenListening(AbortSignal.timeout(30_000));
  const owned = stack.move();
  onCleanup(() => owned.disposeAsync());
  return { db, producer, job: handler.job, runs, restarted: restarted.promise };
});

test("a job whose claim a crash undid is told at once, and runs again as the attempt that it was", async ({
  crashing: { db, producer, job, runs, restarted },
}) => {
  const { id } = await producer.enqueue(job, {});
  await restarted;

  const { attempt } = await untilState(db, id, "completed", { withinMs: 60_000 });

  expect(runs).toMatchObject([{ attempt: 1, toldBeforeRestart: "LEASE_LOST" }, { attempt: 1 }]);
  expect(new Set(runs.map(({ token }) => token)).size).toBe(2);
  expect(attempt).toBe(1);
});

test.for([
  ["that has a key", {}, { key: "one at a time" }],
  ["that may be tried only once", {}, { maxAttempts: 1 }],
  ["that has run for a moment", { afterMs: 200 }, {}],
] as const)(
  "the claim of a job %s is on the disk: a crash undoes nothing, and it runs once",
  async ([, payload, options], { crashing: { db, producer, job, runs, restarted } }) => {
    const { id } = await producer.enqueue(job, payload, options);
    await restarted;

    await untilState(db, id, "completed", { withinMs: 60_000 });

    expect(runs).toMatchObject([{ attempt: 1, toldBeforeRestart: undefined }]);
    expect((await getJob(db, id))!.attempts).toEqual([]);
  },
);
