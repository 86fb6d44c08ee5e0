import { setTimeout as pause } from "node:timers/promises";
import { defineJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { insertJob, untilState } from "../support/jobs.ts";

const pollMs = 1_000;
const watchedMs = 3_000;

test("a job of a prepared transaction keeps nobody awake, and starts by the poll once it is committed", async ({
  queue,
}) => {
  await using server = await startEmbedded({ settings: { max_prepared_transactions: "5" } });
  await migrate({ connectionString: server.url });
  const db = openDatabase({ connectionString: server.url });
  await using cleanUp = new AsyncDisposableStack();
  cleanUp.defer(() => db.close());
  const client = await db.pool.connect();
  await client.query("begin");
  const id = await insertJob(client, { queue }); // nobody sleeps, so that it need not notify: that could not be prepared
  await client.query("prepare transaction 'later'");
  client.release();

  const worker = cleanUp.use(
    createWorker({
      connectionString: server.url,
      handlers: [implement(defineJob("test.plain", { queue }), () => {})],
      logger: silentLogger,
      pollInterval: pollMs,
    }),
  );
  await worker.start();
  await worker.whenListening(AbortSignal.timeout(60_000));
  await pause(1_500); // its first looks, and those of its upkeep
  const transactions = async () => {
    await pause(1_100); // sessions report theirs once a second
    const { rows } = await db.pool.query<{ count: string }>(
      "select xact_commit + xact_rollback as count from pg_stat_database where datname = current_database()",
    );
    return Number(rows[0]!.count);
  };
  const before = await transactions();
  await pause(watchedMs);
  // A heartbeat and a poll a second, with the lease, the promoter and this test: who waits in a loop makes hundreds.
  expect((await transactions()) - before).toBeLessThan(30);

  await db.pool.query("commit prepared 'later'");

  await untilState(db, id, "completed", { withinMs: pollMs * 1.1 + 2_000 });
});
