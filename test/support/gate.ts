import type { Database } from "@hark/core";
import pg from "pg";
import { eventually } from "./eventually.ts";
import { test as base } from "./fixtures.ts";
import { listening } from "./listening.ts";

/** How long a test of the gate waits for a fact, in ms. */
export const withinMs = 30_000;
/**
 * The locks of open gates, as the FROM clause of a select. Only those of this database: tests of
 * other files use the server too.
 */
export const gateLocks = `from pg_locks where locktype = 'advisory' and classid = 1751216747
  and database = (select oid from pg_database where datname = current_database())`;

/** A test with a listener (`ears`), and sessions of producers. */
export const test = base
  .extend("ears", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const ears = listening(databaseUrl);
    onCleanup(() => ears[Symbol.asyncDispose]());
    await ears.listener.whenListening(AbortSignal.timeout(60_000));
    return ears;
  })
  /** Opens a session for a producer. */
  .extend("connect", ({ databaseUrl }, { onCleanup }) => {
    const clients: pg.Client[] = [];
    onCleanup(async () => void (await Promise.all(clients.map((client) => client.end()))));
    return async () => {
      const client = new pg.Client({ connectionString: databaseUrl });
      client.on("error", () => {});
      clients.push(client);
      await client.connect();
      return client;
    };
  });

/** Waits until everything that was sent before has arrived. */
export async function flush(client: pg.Client, heard: readonly (string | undefined)[]): Promise<void> {
  const last = `flush-${crypto.randomUUID().slice(0, 8)}`;
  await client.query("select pg_notify('job_ready', $1)", [last]);
  await eventually(() => heard.includes(last), { withinMs, what: "the last notification" });
}

/** Ends the sessions that hold a gate open in this database. */
export const endGateSessions = (db: Database) => db.pool.query(`select pg_terminate_backend(pid) ${gateLocks}`);

/** The notifications about one queue. */
export const heardOf = (heard: readonly (string | undefined)[], queue: string) =>
  heard.filter((payload) => payload?.split(" ")[0] === queue);
