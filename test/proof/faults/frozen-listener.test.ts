import { frozenListenerLook } from "@hark/worker/internal";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob, untilState } from "../../support/jobs.ts";
import { recordingLogger } from "../../support/recording-logger.ts";

/**
 * Below PostgreSQL's limit of 8,000 bytes. 6,000 of them are more than the sockets of this machine
 * buffer for a process that does not read.
 */
const word = "x".repeat(7_000);
const words = 6_000;

test(
  "a frozen worker's listener session is ended after a while, and the notification queue drains",
  { tags: ["FM-10"] },
  async ({ db, queue, startProcess }) => {
    const worker = await startProcess({ leaseMs: 600_000 });
    const listenerOf = async () =>
      (
        await db.pool.query<{ pid: number; wait: string | null; xmin: string | null }>(
          `select pid, wait_event as wait, backend_xmin::text as xmin from pg_stat_activity
          where datname = current_database() and application_name = 'hark listener'`,
        )
      ).rows[0];
    const usage = async () =>
      (await db.pool.query<{ usage: number }>("select pg_notification_queue_usage() as usage")).rows[0]!.usage;
    const logger = recordingLogger();

    worker.kill("SIGSTOP");
    await db.pool.query("select count(pg_notify('job_ready', n || $1)) from generate_series(1, $2) n", [word, words]);
    const frozen = await eventually(
      async () => {
        const listener = await listenerOf();
        return listener?.wait === "ClientWrite" ? listener : undefined;
      },
      { withinMs: 30_000, what: "a listener that does not read" },
    );
    await frozenListenerLook({ db, logger })(); // 30 s have not passed yet
    expect((await listenerOf())?.pid).toBe(frozen.pid);
    expect(await usage()).toBeGreaterThan(0);

    await frozenListenerLook({ db, logger, frozenMs: 1 })();

    await eventually(async () => (await listenerOf()) === undefined, { withinMs: 10_000, what: "the session's end" });
    expect(logger.lines).toMatchObject([{ level: "warn", facts: { pid: frozen.pid } }]);
    await db.pool.query("select pg_notify('job_ready', 'anything')"); // each notification moves the queue's tail
    await eventually(async () => (await usage()) < 0.001, { withinMs: 30_000, what: "an empty notification queue" });
    worker.kill("SIGCONT");
    const after = await insertJob(db, { queue, type: "test.task", payloadJson: "{}" });
    await untilState(db, after, "completed", { withinMs: 60_000 });
    expect(worker.isAlive).toBe(true);
  },
);
