import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { jitter, orLate } from "./clock.ts";
import { describeUrl } from "./database.ts";
import { DatabaseUnreachableError, MigrationBlockedError } from "./errors/index.ts";
import { isGivingWay } from "./sqlstate.ts";

/**
 * Class and key of the advisory lock under which migrations run: "hark" in ASCII, so that it meets
 * no one else's (SEC-37).
 */
export const advisoryLock: readonly number[] = [0x6861726b, 0x6d696772];

/**
 * Longest wait for a table, in ms (FM-44): what comes after our lock request queues behind it, and
 * no claim may be held up for a second. Below PostgreSQL's deadlock_timeout of 1 s, so that of a
 * migration and a worker that wait for each other, the migration gives way.
 */
const tableWaitMs = 500;

/**
 * Longest wait for the advisory lock at a time, in ms: a statement that waits holds a snapshot,
 * and a CREATE INDEX CONCURRENTLY of the lock's holder waits for that. Below deadlock_timeout too.
 */
const turnWaitMs = 500;

/** Rest before a migration that gave way tries again, in ms: what it held up goes first. */
const restMs = 250;

/** How long the server may take to answer our goodbye, in ms. */
const goodbyeMs = 1_000;

/**
 * Does `work` in one transaction under the migrations' advisory lock, waiting for nobody's table
 * for long. Gives way and starts over when it waits too long, for `waitMs` in all.
 * @throws MigrationBlockedError when that time is over; nothing was changed
 */
export async function underMigrationLock<Answer>(
  client: Client,
  waitMs: number,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const endsAt = performance.now() + waitMs;
  for (;;) {
    try {
      await client.query("begin");
      await takeTurn(client, endsAt);
      await client.query(`select set_config('lock_timeout', $1, true)`, [`${tableWaitMs}ms`]);
      const answer = await work();
      await client.query("commit");
      return answer;
    } catch (error) {
      if (!isGivingWay(error)) throw error; // the end of the session ends the transaction
      await client.query("rollback");
      if (performance.now() >= endsAt) throw new MigrationBlockedError(waitMs, error);
      await sleep(jitter(restMs, 0.5));
    }
  }
}

/** Waits for the advisory lock, letting go of its snapshot now and then. */
async function takeTurn(client: Client, endsAt: number): Promise<void> {
  await client.query(`select set_config('lock_timeout', $1, true)`, [`${turnWaitMs}ms`]);
  await client.query("savepoint turn");
  for (;;) {
    try {
      await client.query("select pg_advisory_xact_lock($1, $2)", [...advisoryLock]);
      return;
    } catch (error) {
      if (!isGivingWay(error) || performance.now() >= endsAt) throw error;
      await client.query("rollback to savepoint turn");
    }
  }
}

/**
 * Runs `work` on a session of its own, whose statements take `deadlineMs` at most.
 * @throws DatabaseUnreachableError if there is none
 */
export async function withClient<Answer>(
  connectionString: string,
  deadlineMs: number,
  work: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const client = new Client({
    connectionString,
    connectionTimeoutMillis: 5_000,
    query_timeout: deadlineMs,
    application_name: "hark migrate",
  });
  client.on("error", () => {}); // a lost connection rejects the query that runs; alone it must not end the process (FM-06)
  try {
    await client.connect();
  } catch (error) {
    throw new DatabaseUnreachableError(describeUrl(connectionString), error);
  }
  try {
    return await work(client);
  } finally {
    await orLate(client.end(), goodbyeMs); // also ends a transaction that failed
  }
}
