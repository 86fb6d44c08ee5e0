import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { channels } from "@hark/core/internal";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { listening, timeToListen } from "../../support/listening.ts";
import { percentile, repeats, tell } from "../../support/long.ts";
import { startProxy } from "../../support/proxy.ts";

// FM-02: up to 1 s to the next heartbeat, 1 s for its answer, 450 ms of rest, and a connect.
const mostMs = 2_500;
const runs = 6;

const silences = repeats({ few: 5, full: 100 });
vi.setConfig({ testTimeout: 240_000 + silences * 10_000 });

test(
  "a connection that fell silent is replaced within 3 s, and its session is ended",
  { tags: ["AWAKE-4", "FM-02"] },
  async ({ databaseUrl, pool }) => {
    const times = await Promise.all(
      Array.from({ length: runs }, async (_, run) => {
        const applicationName = `silent ${run}`;
        await using proxy = await startProxy(databaseUrl);
        await using one = listening(proxy.url, { applicationName });
        await one.listener.whenListening();
        await sleep((run * 1_000) / runs); // the connection may fall silent at any moment between two heartbeats
        one.forget();

        await proxy.set("hole");
        const silentAt = performance.now();
        await proxy.set("ok"); // for new connections; lost bytes stay lost
        await pool.query("select pg_notify($1, $2)", [channels.jobReady, `lost.${run}`]);
        await eventually(() => one.heardAt.has(undefined), {
          withinMs: 10_000,
          what: "a report that notifications may have been missed",
        });

        await pool.query("select pg_notify($1, $2)", [channels.jobReady, `found.${run}`]);
        await eventually(() => one.heard.includes(`found.${run}`), { withinMs: 2_000, what: "the next notification" });
        expect(one.heard).not.toContain(`lost.${run}`);

        const isAlone = async () => {
          const { rows } = await pool.query("select from pg_stat_activity where application_name = $1", [
            applicationName,
          ]);
          return rows.length === 1;
        };
        await eventually(isAlone, { withinMs: 5_000, what: "the end of the lost session", everyMs: 50 });
        expect(one.listener.counts.leftovers).toBeGreaterThanOrEqual(1); // more, if a second session's close was lost too
        expect(one.listener.state).toBe("listening");
        return Math.round(one.heardAt.get(undefined)! - silentAt);
      }),
    );

    expect(Math.max(...times)).toBeLessThanOrEqual(mostMs + 4 * (await timeToListen(databaseUrl)));
  },
);

test(
  `a worker whose listener fell silent starts the next job within 3 s, ${silences} times`,
  { tags: ["FM-02"] },
  async ({ databaseUrl, db, queue, ledger, startProcess }) => {
    const times: number[] = [];
    let left = silences;

    async function lane(name: string): Promise<void> {
      await using proxy = await startProxy(databaseUrl);
      const worker = await startProcess({ listenUrl: proxy.url, queue: name, pollMs: 60_000 }); // no poll finds it in time
      while (left > 0) {
        left -= 1;
        await sleep(Math.random() * 1_000); // at any moment between two heartbeats
        await proxy.set("hole");
        const silentAt = monotonicUs();
        await proxy.set("ok"); // for new connections
        const id = await insertJob(db, { queue: name, type: "test.task" });

        const [start] = await ledger.until("started", 1, 30_000, id);
        times.push((start!.at - silentAt) / 1_000);
        await eventually(async () => (await worker.health()).isHealthy, { withinMs: 10_000, what: "good health" });
      }
      expect(worker.isAlive).toBe(true);
    }
    await Promise.all(Array.from({ length: 5 }, (_, place) => lane(`${queue}-${place}`)));

    tell(`${silences} silent deaths of a worker's listener; to the start of the next job`, times);
    expect(percentile(times, 0.99)).toBeLessThanOrEqual(3_000 + 2 * (await timeToListen(databaseUrl)));
  },
);

test("a job that arrives before the gate's lost session has timed out starts at once", async ({
  databaseUrl,
  db,
  queue,
  ledger,
  startProcess,
}) => {
  const times: number[] = [];
  await using proxy = await startProxy(databaseUrl);
  const worker = await startProcess({ listenUrl: proxy.url, pollMs: 60_000 });
  for (let round = 0; round < 3; round += 1) {
    await proxy.set("hole"); // both listener and gate; the gate notices 2 s after its next statement
    await proxy.set("ok");
    await eventually(async () => !(await worker.health()).isHealthy, { withinMs: 10_000, what: "the loss" });
    await eventually(async () => (await worker.health()).isHealthy, { withinMs: 10_000, what: "good health" });

    const insertedAt = monotonicUs();
    const id = await insertJob(db, { queue, type: "test.task" });
    const [start] = await ledger.until("started", 1, 30_000, id);
    times.push((start!.at - insertedAt) / 1_000);
  }

  tell("jobs while the gate's session is silent; to their start", times);
  expect(Math.max(...times)).toBeLessThanOrEqual(500 + 2 * (await timeToListen(databaseUrl)));
});

test(
  "a server that answers nothing is tried again and again, and found when it answers",
  { tags: ["FM-02"] },
  async ({ databaseUrl }) => {
    await using proxy = await startProxy(databaseUrl);
    await proxy.set("hole");
    await using lost = listening(proxy.url, { deadlines: { connectMs: 800 } });
    const { listener } = lost;

    await eventually(() => listener.attempts >= 3, { withinMs: 10_000, what: "a third attempt" });
    expect(listener.reason).toMatch(/no answer to connecting within 800 ms/);
    expect(proxy.open).toBeLessThanOrEqual(1);
    await proxy.set("ok");

    await listener.whenListening(AbortSignal.timeout(10_000));
  },
);

test("a busy event loop does not make the listener leave a good connection", async ({ databaseUrl }) => {
  const answerMs = 400;
  await using busy = listening(databaseUrl, { heartbeatMs: 1, deadlines: { answerMs } }); // so one heartbeat is out
  await busy.listener.whenListening();

  for (let round = 0; round < 10; round += 1) {
    await sleep(10 + round);
    await turn(); // timers run after this phase, before the socket is read
    const busyUntil = performance.now() + answerMs + 50;
    while (performance.now() < busyUntil);
  }

  expect(busy.listener.counts).toMatchObject({ connects: 1, failures: 0 });
});
