import { type Logger, silentLogger } from "@hark/core";
import { channels } from "@hark/core/internal";
import { Listener } from "@hark/worker/internal";
import pg from "pg";
import { expect } from "vitest";
import { test } from "../../setup/fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { startPgBouncer } from "../../support/pgbouncer.ts";

// FM-04. The heartbeat alone does not detect a pooler: a session's own notifications reach it
// through the pooler.
test(
  "behind a transaction pooler the listener reports once that no notification can reach it, and what to do",
  { tags: ["AWAKE-6", "FM-04"] },
  async ({ databaseUrl, pool }) => {
    await using pooler = await startPgBouncer(databaseUrl, { poolMode: "transaction" });
    const warnings: string[] = [];
    const deadlines = { answerMs: 500, silentMs: 200 };
    await using listener = new Listener({
      connectionString: pooler.url,
      logger: collecting(warnings),
      heartbeatMs: 300,
      deadlines,
    });
    const heard: (string | undefined)[] = [];
    listener.on(channels.jobReady, (queue) => heard.push(queue));
    const states = new Set<string>();
    listener.start();

    await eventually(() => states.add(listener.state).has("polling"), { withinMs: 10_000, what: "the state polling" });
    expect(listener.reason).toMatch(/HARK_LISTEN_URL/);
    const { failures } = listener.counts;
    await eventually(() => states.add(listener.state) && listener.counts.failures >= failures + 2, {
      withinMs: 20_000,
      what: "two more tries",
    });
    await pool.query("select pg_notify($1, 'unheard')", [channels.jobReady]);

    expect(states).toEqual(new Set(["connecting", "polling"]));
    expect(heard.every((queue) => queue === undefined)).toBe(true);
    expect(warnings.filter((message) => message.includes("HARK_LISTEN_URL"))).toHaveLength(1);
    await listener.close();
    expect(await channelsLeftIn(pooler.url)).toEqual([]);
  },
);

test("behind a session pooler the listener hears everything", async ({ databaseUrl, pool }) => {
  await using pooler = await startPgBouncer(databaseUrl, { poolMode: "session" });
  await using listener = new Listener({ connectionString: pooler.url, logger: silentLogger });
  const heard: (string | undefined)[] = [];
  listener.on(channels.jobReady, (queue) => heard.push(queue));
  listener.start();

  await listener.whenListening(AbortSignal.timeout(5_000));
  await pool.query("select pg_notify($1, 'mail')", [channels.jobReady]);

  await eventually(() => heard.includes("mail"), { withinMs: 2_000, what: "the notification" });
});

/** The channels that the pooler's own session still listens to. */
async function channelsLeftIn(url: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("select pg_listening_channels() as channel");
  await client.end();
  return rows;
}

function collecting(warnings: string[]): Logger {
  const logger: Logger = { ...silentLogger, warn: (_, message) => void warnings.push(message), child: () => logger };
  return logger;
}
