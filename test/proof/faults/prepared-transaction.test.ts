import { defineJob, migrate, openDatabase, silentLogger } from "@hark/core";
import { startEmbedded } from "@hark/test/database";
import { createWorker, implement } from "@hark/worker";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob, untilState } from "../../support/jobs.ts";

const pollMs = 1_000;

test(
  "a prepared transaction does not keep workers awake, and its job is found by a poll after the commit",
  { tags: ["AWAKE-3"] },
  async ({ queue }) => {
    await using server = await startEmbedded({ settings: { max_prepared_transactions: "5" } });
    await migrate({ connectionString: server.url });
    const db = openDatabase({ connectionString: server.url });
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => db.close());
    const client = await db.pool.connect();
    await client.query("begin");
    const id = await insertJob(client, { queue }); // no worker sleeps, so it does not notify: a transaction with NOTIFY cannot be prepared
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
    // A worker that waits for the writer asks for it at least four times a second. A worker that
    // sleeps asks nothing, through three polls.
    await eventually(
      async () => {
        const { rows } = await db.pool.query<{ quiet: boolean }>(
          `select clock_timestamp() - state_change > $1 * interval '1 ms' as quiet
           from pg_stat_activity where application_name = 'hark gate' and state = 'idle'`,
          [3 * pollMs],
        );
        return rows.length === 1 && rows[0]!.quiet;
      },
      { withinMs: 55_000, what: "the gate with nothing left to ask", everyMs: 100 },
    );

    await db.pool.query("commit prepared 'later'");

    await untilState(db, id, "completed"); // found by a poll, since no notification was sent
  },
);
