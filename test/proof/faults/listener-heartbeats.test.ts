import { setTimeout as sleep } from "node:timers/promises";
import { channels } from "@hark/core/internal";
import pg from "pg";
import { expect, vi } from "vitest";
import { test as base } from "../../setup/fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { listening, timeToListen } from "../../support/listening.ts";
import { startProxy } from "../../support/proxy.ts";

/*
 * FM-02 and docs/decisions/0017: all listeners of a database hear each heartbeat, so one of them
 * sends it for all. The tests here must not run in parallel. They share a database, and would hear
 * each other's heartbeats.
 */

vi.setConfig({ testTimeout: 120_000 });

const test = base.extend("witness", async ({ databaseUrl }, { onCleanup }) => {
  const client = new pg.Client({ connectionString: databaseUrl });
  const senders: number[] = [];
  client.on("notification", ({ processId }) => senders.push(processId));
  await client.connect();
  await client.query("listen hark_heartbeat");
  onCleanup(() => client.end());
  /** The server processes that sent a heartbeat, in order. */
  return { senders };
});

test(
  "an idle listener sends at most one heartbeat in twenty times its interval, and no other statement",
  { tags: ["AWAKE-5"] },
  async ({ databaseUrl, pool, witness }) => {
    const heartbeatMs = 25;
    await using one = listening(databaseUrl, { applicationName: "idle", heartbeatMs });
    await one.listener.whenListening();
    const startedAt = performance.now();
    witness.senders.length = 0;

    const statements = new Set<string>();
    const look = async () => {
      const { rows } = await pool.query("select query from pg_stat_activity where application_name = 'idle'");
      for (const { query } of rows) statements.add(query.split(",")[0]);
      return witness.senders.length >= 6;
    };
    await eventually(look, { withinMs: 30_000, what: "six heartbeats", everyMs: 1 });

    // The first of the six may be sent at once.
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(5 * 20 * heartbeatMs * 0.95);
    expect([...statements]).toEqual(["NOTIFY hark_heartbeat"]);
    expect(one.listener.counts).toMatchObject({ connects: 1, failures: 0 });
  },
);

test("many listeners together send few heartbeats", { tags: ["FM-02"] }, async ({ databaseUrl, witness }) => {
  const heartbeatMs = 60;
  await using stack = new AsyncDisposableStack();
  const many = Array.from({ length: 20 }, () => stack.use(listening(databaseUrl, { heartbeatMs })));
  await Promise.all(many.map(({ listener }) => listener.whenListening()));
  const startedAt = performance.now();
  witness.senders.length = 0;

  await eventually(() => witness.senders.length >= 10, { withinMs: 60_000, what: "ten heartbeats" });

  // One heartbeat in 20 to 25 times heartbeatMs makes 10 in 12 s. If each listener sent its own, 10
  // would take 0.7 s. A busy machine hears them late.
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(2_400);
  for (const { listener } of many) expect(listener.counts).toMatchObject({ connects: 1, failures: 0 });
});

test.for(["cut", "hole"] as const)(
  "when the listener that sends for all is lost (%s), the others go on listening, and another sends",
  { tags: ["FM-02"] },
  async (loss, { databaseUrl, pool, witness }) => {
    const heartbeatMs = 200;
    await using stack = new AsyncDisposableStack();
    const members = await Promise.all(
      Array.from({ length: 4 }, async (_, place) => {
        const proxy = stack.use(await startProxy(databaseUrl));
        const applicationName = `member ${loss} ${place}`;
        return { proxy, applicationName, ...stack.use(listening(proxy.url, { heartbeatMs, applicationName })) };
      }),
    );
    await Promise.all(members.map(({ listener }) => listener.whenListening()));
    witness.senders.length = 0;
    await eventually(() => witness.senders.length > 0, { withinMs: 10_000, what: "a heartbeat" });
    const sender = witness.senders[0]!;
    const { rows } = await pool.query("select application_name from pg_stat_activity where pid = $1", [sender]);
    const lost = members.find(({ applicationName }) => applicationName === rows[0].application_name)!;
    const others = members.filter((member) => member !== lost);
    lost.forget();

    await lost.proxy.set(loss);
    const lostAt = performance.now();
    await lost.proxy.set("ok");
    witness.senders.length = 0;
    await pool.query("select pg_notify($1, 'mail')", [channels.jobReady]);
    await eventually(() => others.every(({ heard }) => heard.includes("mail")), { withinMs: 2_000, what: "the mail" });
    await eventually(() => witness.senders.some((other) => other !== sender), {
      withinMs: 10_000,
      what: "a heartbeat of another",
    });
    await eventually(() => lost.heardAt.has(undefined), { withinMs: 10_000, what: "the return of the lost one" });

    // As long as for a single listener: 1 s for the answer, and up to 450 ms of rest.
    const tookMs = lost.heardAt.get(undefined)! - lostAt;
    expect(tookMs).toBeLessThanOrEqual(heartbeatMs + 1_000 + 450 + 4 * (await timeToListen(databaseUrl)));
    for (const { listener } of others) expect(listener.counts).toMatchObject({ connects: 1, failures: 0 });
  },
);

test("forged heartbeats do not keep a dead connection open", { tags: ["FM-02"] }, async ({ databaseUrl, pool }) => {
  await using proxy = await startProxy(databaseUrl);
  await using one = listening(proxy.url);
  await one.listener.whenListening();
  const stop = new AbortController();
  const forging = (async () => {
    while (!stop.signal.aborted) {
      await pool.query("select pg_notify('hark_heartbeat', 'forged')");
      await sleep(20);
    }
  })();
  one.forget();

  await proxy.set("hole");
  const silentAt = performance.now();
  await proxy.set("ok");
  await eventually(() => one.heardAt.has(undefined), { withinMs: 10_000, what: "a new session" });
  stop.abort();
  await forging;

  expect(one.heardAt.get(undefined)! - silentAt).toBeLessThanOrEqual(2_500 + 4 * (await timeToListen(databaseUrl)));
});
