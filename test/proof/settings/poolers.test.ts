import { setTimeout as sleep } from "node:timers/promises";
import { defineJob, openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";
import { expect, inject } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { percentile, repeats, tell } from "../../support/long.ts";
import { findPgBouncers, pgBouncerVersion, startPgBouncer } from "../../support/pgbouncer.ts";
import { recordingLogger } from "../../support/recording-logger.ts";

/*
 * Eight workers and a producer behind PgBouncer in transaction mode, with each version that is
 * installed: with and without its prepared statements (from 1.21 on), declared to Hark with a
 * direct URL for LISTEN, and not. Set LONG=1 for a minute each.
 */

const runMs = repeats({ few: 8, full: 60 }) * 1_000;
const workers = 8;
/** Beats as many short leases as the time allows. */
const lease = "3s";
/** Where no worker can listen, jobs are found by the poll. */
const pollMs = 2_000;

const cases = findPgBouncers().flatMap((program) => {
  const [major, minor] = pgBouncerVersion(program);
  const keepsPrepared = major > 1 || minor >= 21;
  return (keepsPrepared ? [200, 0] : [undefined]).flatMap((prepared) =>
    [true, false].map((isDeclared) => ({
      program,
      isDeclared,
      settings: prepared === undefined ? [] : [`max_prepared_statements = ${prepared}`],
      name: `PgBouncer ${major}.${minor}${prepared === undefined ? "" : `, prepared statements ${prepared === 0 ? "off" : "on"}`}, ${isDeclared ? "declared" : "not declared"}`,
    })),
  );
});

test("a PgBouncer is installed", () => expect(cases).not.toEqual([]));

test.for(cases)(
  "no lease is lost, no enqueue fails and jobs start soon: $name",
  { tags: ["FM-04", "FM-81"], timeout: runMs + 120_000 },
  async ({ name, program, settings, isDeclared }, { server, queue }) => {
    await using cleanUp = new AsyncDisposableStack();
    const direct = await server.createDatabase(undefined, { template: inject("template") });
    const admin = openDatabase({ connectionString: direct, maxConnections: 1 });
    cleanUp.defer(() => admin.close());
    const pooler = cleanUp.use(
      await startPgBouncer(direct, { poolMode: "transaction", poolSize: 10, maxClients: 200, program, settings }),
    );
    const connectionString = pooler.url;
    const retry = { attempts: 3, backoff: { base: 50 } };
    const job = defineJob("test.pooled", { queue, retry });
    const startedAfter: number[] = [];
    const runs = new Map<string, number>();
    const handler = implement(job, async ({ id, payload }) => {
      startedAfter.push(performance.now() - (payload as { at: number }).at);
      runs.set(String(id), (runs.get(String(id)) ?? 0) + 1);
      await sleep(5);
    });
    let leasesLost = 0;
    const loggers = Array.from({ length: workers }, () => recordingLogger());
    await Promise.all(
      loggers.map(async (logger) => {
        const worker = createWorker({
          connectionString,
          logger,
          lease,
          handlers: [handler],
          pollInterval: pollMs,
          queues: { [queue]: 4 },
          ...(isDeclared && { listenUrl: direct, isPooled: true }),
        });
        cleanUp.defer(() => worker.stop("now"));
        worker.events.on("leaseLost", () => (leasesLost += 1));
        await worker.start();
        if (isDeclared) await worker.whenListening(AbortSignal.timeout(60_000));
      }),
    );
    const producer = createProducer({ connectionString, maxConnections: 6, ...(isDeclared && { isPooled: true }) });
    cleanUp.defer(() => producer.close());

    const failures: string[] = [];
    let sent = 0;
    const until = performance.now() + runMs;
    await Promise.all(
      Array.from({ length: 4 }, async (_, line) => {
        for (let turn = 0; performance.now() < until; turn += 1) {
          const options = turn % 5 === 0 ? { key: `key ${line}` } : turn % 7 === 0 ? { delay: 200 } : {};
          const at = performance.now() + ("delay" in options ? 200 : 0);
          await producer.enqueue(job, { at, key: options.key }, options).then(
            () => (sent += 1),
            (error: unknown) => failures.push(String(error)),
          );
          await sleep(10 + Math.random() * 40);
        }
      }),
    );
    await eventually(() => runs.size >= sent, { withinMs: 30_000, what: "all jobs have run" });
    expect(failures).toEqual([]);
    const { rows } = await admin.query({
      text: `select (select count(*) from hark.workers where dead_at is not null)::integer as dead,
                    (select count(*) from hark.attempts)::integer as interrupted,
                    (select count(*) from hark.dead_jobs)::integer as buried`,
      values: [],
    });
    tell(`${name}: ${sent} jobs by ${workers} workers`, startedAfter);
    const lines = loggers.flatMap((logger) =>
      logger.lines.filter(({ level }) => level === "warn" || level === "error"),
    );
    const told = Object.entries(Object.groupBy(lines, ({ message }) => message)).map(
      ([message, said]) => `${said?.length} times: ${message}`,
    );
    expect(rows, told.join("; ")).toEqual([{ dead: 0, interrupted: 0, buried: 0 }]);
    expect(
      [...runs.values()].filter((times) => times !== 1),
      "jobs that ran twice",
    ).toEqual([]);
    expect(leasesLost, told.join("; ")).toBe(0);
    expect(lines.filter(({ facts }) => JSON.stringify(facts).includes("prepared statement"))).toEqual([]);
    // With notifications at once, or with the next poll, and a second for a busy machine: of the
    // rest the figures tell.
    expect(percentile(startedAfter, 0.99)).toBeLessThan((isDeclared ? 0 : pollMs) + 1_000);
  },
);
