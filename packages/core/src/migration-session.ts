import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { jitter, orLate } from "./clock.ts";
import { describeUrl } from "./database.ts";
import { DatabaseUnreachableError, InvalidOptionsError, MigrationBlockedError } from "./errors/index.ts";
import { pgTypes } from "./pg-types.ts";
import { connectSession, type Login } from "./session.ts";
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

/**
 * Longest wait for the advisory lock in all, in ms. It only keeps migrations from disturbing each
 * other, and any login can hold it. What makes them one after the other is the lock on the ledger.
 */
const politeMs = 10_000;

/**
 * Two migrations at once make the same things: a name that exists, in the catalog or for the
 * client.
 */
const isMadeTwice = (error: unknown): boolean => /^(23505|42P06|42P07)$/.test((error as { code?: string }).code ?? "");

/** Rest before a migration that gave way tries again, in ms: what it held up goes first. */
const restMs = 250;

/**
 * Lifts what may end a transaction that works for long, until its end: a migration has deadlines of
 * its own. Asks for what this server knows; an older one refuses a setting that it does not.
 */
const liftLimits = `
  select set_config(name, '0', true) from pg_settings
   where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') and setting <> '0'`;

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
  const politeUntil = performance.now() + Math.min(politeMs, waitMs / 2);
  for (;;) {
    let hasTurn = false;
    try {
      await client.query("begin isolation level read committed");
      await client.query(liftLimits);
      hasTurn = await takeTurn(client, politeUntil);
      await client.query(`select set_config('lock_timeout', $1, true)`, [`${tableWaitMs}ms`]);
      const answer = await work();
      await client.query("commit");
      return answer;
    } catch (error) {
      if (!isGivingWay(error) && (hasTurn || !isMadeTwice(error))) throw error; // the end of the session ends the transaction
      await client.query("rollback");
      if (performance.now() >= endsAt) throw new MigrationBlockedError(waitMs, error);
      await sleep(jitter(restMs, 0.5));
    }
  }
}

/**
 * Waits for the advisory lock, letting go of its snapshot now and then. Returns whether it has it.
 */
async function takeTurn(client: Client, until: number): Promise<boolean> {
  await client.query(`select set_config('lock_timeout', $1, true)`, [`${turnWaitMs}ms`]);
  await client.query("savepoint turn");
  for (;;) {
    try {
      await client.query("select pg_advisory_xact_lock($1, $2)", [...advisoryLock]);
      return true;
    } catch (error) {
      if (!isGivingWay(error)) throw error;
      await client.query("rollback to savepoint turn");
      if (performance.now() >= until) return false;
    }
  }
}

/**
 * Runs `work` on a session of its own, whose statements take `deadlineMs` at most.
 * @throws DatabaseUnreachableError if there is none
 * @throws InvalidOptionsError if the connection string is none that can be read
 */
export async function withClient<Answer>(
  login: Login,
  deadlineMs: number,
  work: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const clients: Client[] = [];
  const config = {
    connectionTimeoutMillis: 5_000,
    query_timeout: deadlineMs,
    application_name: "hark migrate",
    types: pgTypes,
  };
  try {
    const client = await connectSession(login, config, (opened) => {
      opened.on("error", () => {}); // a lost connection rejects the query that runs; alone it must not end the process (FM-06)
      clients.push(opened);
    }).catch((error: unknown) => {
      if (error instanceof InvalidOptionsError) throw error;
      throw new DatabaseUnreachableError(describeUrl(login.connectionString), error);
    });
    return await work(client);
  } finally {
    await Promise.all(clients.map((client) => orLate(client.end(), goodbyeMs))); // also ends a transaction that failed
  }
}
