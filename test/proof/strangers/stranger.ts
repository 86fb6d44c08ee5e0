import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { test as base } from "../../support/fixtures.ts";

/** A login that may connect to the database and has no right in it. */
export interface Stranger {
  /** One more session of it, in the file's database or another. */
  connect(database?: string): Promise<pg.Client>;
  /**
   * Sends notifications from two sessions, 50,000 in a second, until the returned function is
   * called. That one resolves with how many they sent in a second.
   */
  flood(channel: string, payload: string): Promise<() => Promise<number>>;
}

/** The name of a flood's statement. */
export const floodName = "flood of a stranger";

/** Notifications in one statement of a flood. Each differs, so that PostgreSQL folds none. */
const burst = 1_000;

/** From one statement of a sender to the next, in ms. */
const burstMs = 40;

export const test = base.extend("stranger", async ({ databaseUrl, pool }, { onCleanup }): Promise<Stranger> => {
  const name = `hark_test_${randomBytes(6).toString("hex")}`;
  await pool.query(`create role ${name} login password 'none'`);
  const url = new URL(databaseUrl);
  url.username = name;
  url.password = "none";
  const clients: pg.Client[] = [];
  onCleanup(async () => {
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
    await pool.query(`drop role ${name}`);
  });
  const connect = async (database?: string) => {
    const at = new URL(url);
    if (database !== undefined) at.pathname = new URL(database).pathname;
    const client = new pg.Client({ connectionString: at.href });
    client.on("error", () => {});
    await client.connect();
    clients.push(client);
    return client;
  };
  return {
    connect,
    async flood(channel, payload) {
      const over = new AbortController();
      let sent = 0;
      const startedAt = performance.now();
      const text = `select count(pg_notify($1, ${payload})) from generate_series($2::bigint, $2::bigint + ${burst - 1}) i`;
      const senders = [await connect(), await connect()].map(async (client, place) => {
        for (let round = 0; !over.signal.aborted; round += 1) {
          await client.query({ name: floodName, text, values: [channel, (round * 2 + place) * burst] });
          sent += burst;
          await sleep(Math.max(startedAt + (round + 1) * burstMs - performance.now(), 0));
        }
      });
      return async () => {
        over.abort();
        await Promise.all(senders);
        return sent / ((performance.now() - startedAt) / 1_000);
      };
    },
  };
});
