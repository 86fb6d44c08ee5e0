import { Socket } from "node:net";
import { Pool, type PoolClient, type PoolConfig, TypeOverrides, types } from "pg";
import { checkOptions, type OptionKinds } from "./check-options.ts";
import { DatabaseUnreachableError } from "./errors/index.ts";
import { guardPool } from "./guard-pool.ts";
import { maskSecrets } from "./mask.ts";
import { pgTypes } from "./pg-types.ts";
import type { PgPool } from "./pool.ts";
import { preparedName } from "./prepared-name.ts";
import type { Queryable } from "./queryable.ts";
import { type Login, SessionClient, sessionConfig } from "./session.ts";
import { isNameRefused, isStartupRefused } from "./sqlstate.ts";

export type { Queryable } from "./queryable.ts";

/** A pool with deadlines, whose broken clients never come back (FM-06, FM-07). */
export interface Database extends Queryable {
  readonly pool: Pool;
  /** Runs `work` between BEGIN and COMMIT on one client; rolls back and rethrows if it throws. */
  transaction<Answer>(work: (tx: PoolClient) => Promise<Answer>): Promise<Answer>;
  /**
   * Runs `work`, statement by statement, on one connection, which outlives statements that fail if
   * `work` goes on. The pool closes a connection with every failure, and the next statement may
   * come before the server has let go of the rows that the last locked.
   */
  onOneConnection<Answer>(work: (on: Queryable) => Promise<Answer>): Promise<Answer>;
  close(): Promise<void>;
}

export interface DatabaseOptions extends Login {
  /** What pg_stat_activity shows; "hark" if not given. */
  applicationName?: string;
  /** Most connections; 3 if not given. */
  maxConnections?: number | undefined;
  /**
   * No statement may take longer, in ms; 10 s if not given. The server gives up half a second
   * before the client does.
   */
  deadlineMs?: number;
  /** No connection may take longer to come about, in ms; 5 s if not given. */
  connectMs?: number;
  /**
   * Only the moves of jobs run here: every table is reached by an index, whatever stale statistics
   * say. A claim that was planned while the queue was empty would scan the whole of it later. And
   * no move waits for a lock for longer than a second.
   */
  plansByIndex?: boolean;
  /**
   * The URL leads through a transaction pooler: no named statements and no session settings
   * (FM-04).
   */
  isPooled?: boolean | undefined;
}

/**
 * Settings of sessions that run named statements. They are short: compiling them costs more than it
 * saves (52 ms for a 0.2 ms look-up, measured), and one generic plan cannot be talked into a bad
 * one by stale statistics.
 */
export const planSettings = { jit: "off", plan_cache_mode: "force_generic_plan" };

/**
 * What callers of the pool itself read: as the application set it, but int8 as bigint. Our own
 * statements bring {@link pgTypes} along.
 */
const poolTypes = new TypeOverrides();
poolTypes.setTypeParser(types.builtins.INT8, BigInt);

/**
 * Every table is reached by an index, and nothing waits for a lock of another transaction for
 * longer than a second: what can go on without that row does.
 */
export const moveSettings = {
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  lock_timeout: "1000",
};

const databaseOptions: OptionKinds<DatabaseOptions> = {
  connectionString: "any",
  password: "function",
  applicationName: "text",
  maxConnections: "any",
  deadlineMs: "any",
  connectMs: "any",
  plansByIndex: "flag",
  isPooled: "flag",
};

/**
 * Opens nothing yet: the pool connects when it is first asked.
 * @throws InvalidOptionsError for unknown options, or a connection string that cannot be read
 */
export function openDatabase(options: DatabaseOptions): Database {
  checkOptions("openDatabase", options, databaseOptions);
  const deadlineMs = options.deadlineMs ?? 10_000;
  const isPooled = options.isPooled ?? false;
  const config: PoolConfig = {
    ...sessionConfig(options, { isPooled, settings: { ...planSettings, ...(options.plansByIndex && moveSettings) } }),
    application_name: options.applicationName ?? "hark",
    max: options.maxConnections ?? 3,
    connectionTimeoutMillis: options.connectMs ?? 5_000,
    query_timeout: deadlineMs,
    keepAlive: true,
    types: poolTypes,
    stream: mortalSocket,
    Client: SessionClient,
  };
  if (!isPooled) {
    config.statement_timeout = deadlineMs - 500;
    config.idle_in_transaction_session_timeout = 10_000;
  }
  const plainOptions = sessionConfig(options, { isPooled: true }).options;
  return wrapPool(new Pool(config), { plainOptions, isPooled });
}

/** How long the server may take to answer the goodbye of a connection, in ms. */
const goodbyeMs = 1_000;

/**
 * A socket that does not wait for the other end once it has said goodbye: in a black hole nobody
 * answers, and one idle connection would keep the process from ending until TCP gives up, after
 * some 15 minutes.
 */
function mortalSocket(): Socket {
  const socket = new Socket();
  socket.once("finish", () => {
    const timer = setTimeout(() => socket.destroy(), goodbyeMs);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  });
  return socket;
}

/** A {@link Database} on the application's own pool, which close() leaves open. */
export function borrowPool(pool: PgPool, { isPooled = false, ...unknown }: { isPooled?: boolean } = {}): Database {
  checkOptions("borrowPool", { pool: pool ?? null, isPooled, ...unknown }, { pool: "pool", isPooled: "flag" });
  // Of a pool that is not ours, only what PgPool names is used.
  return wrapPool(pool as Pool, { isPooled, isBorrowed: true });
}

type QueryRequest = Parameters<Queryable["query"]>[0];

interface Wrapped {
  readonly isPooled: boolean;
  readonly isBorrowed?: boolean;
  /** What a session of our own starts with if it may set nothing: the options of the URL. */
  readonly plainOptions?: string | undefined;
}

function wrapPool(pool: Pool, { isPooled, isBorrowed = false, plainOptions }: Wrapped): Database {
  const endGuard = guardPool(pool);

  /** No named statements and no session settings: the sessions are shared (FM-04). */
  let isWithoutSession = isPooled;

  const connect = async (): Promise<PoolClient> => {
    try {
      return await pool.connect();
    } catch (refusal) {
      if (isBorrowed || isWithoutSession || !isStartupRefused(refusal)) throw refusal;
      // Perhaps it was for the settings that this session asks for: once without (FM-80).
      const { options, statement_timeout, idle_in_transaction_session_timeout } = pool.options;
      Object.assign(pool.options, {
        options: plainOptions,
        statement_timeout: undefined,
        idle_in_transaction_session_timeout: undefined,
      });
      try {
        const client = await pool.connect();
        isWithoutSession = true;
        return client;
      } catch {
        Object.assign(pool.options, { options, statement_timeout, idle_in_transaction_session_timeout });
        throw refusal;
      }
    }
  };

  /**
   * Runs a statement; once more without its name if a session did not know it, and so did nothing.
   */
  const query = async (on: Pick<PoolClient, "query">, { name, text, values }: QueryRequest) => {
    const unnamed = { text, values, types: pgTypes };
    if (isWithoutSession || name === undefined) return on.query(unnamed);
    try {
      return await on.query({ name: preparedName(name, text), ...unnamed });
    } catch (error) {
      if (!isNameRefused(error)) throw error;
      isWithoutSession = true;
      return on.query(unnamed);
    }
  };

  const onClient = async <Answer>(work: (client: PoolClient) => Promise<Answer>): Promise<Answer> => {
    const client = await connect();
    let failure: unknown;
    try {
      return await work(client);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      // A client that failed is closed, not reused: that ends its transaction too, whatever state
      // it is in.
      client.release(failure instanceof Error ? failure : failure !== undefined);
    }
  };

  const transaction: Database["transaction"] = (work) =>
    onClient(async (client) => {
      await client.query("begin isolation level read committed");
      const answer = await work(client);
      await client.query("commit");
      return answer;
    });

  /**
   * Whether statements stand alone in read committed. Our own sessions ask for it. Where they may
   * not, and in sessions of the application, the default of the database decides.
   */
  let isReadCommitted: Promise<boolean> | undefined;
  const standsAlone = (): Promise<boolean> =>
    (isReadCommitted ??= onClient(async (client) => {
      const { rows } = await client.query({ text: "show default_transaction_isolation", types: pgTypes });
      return (
        (rows[0] as { default_transaction_isolation?: unknown } | undefined)?.default_transaction_isolation ===
        "read committed"
      );
    }).catch((error: unknown) => {
      isReadCommitted = undefined;
      throw error;
    }));

  return {
    pool,
    async query(statement) {
      if ((isBorrowed || isWithoutSession) && !(await standsAlone())) {
        const { text, values } = statement; // no name: nothing may fail and be repeated in a transaction
        return transaction((client) => query(client, { text, values }));
      }
      return onClient((client) => query(client, statement));
    },
    transaction,
    onOneConnection(work) {
      return onClient((client) => work({ query: (statement) => query(client, statement) }));
    },
    async close() {
      if (isBorrowed) endGuard();
      // What connections of our own still say while they end is ignored.
      else if (!pool.ended && !pool.ending) await pool.end();
    },
  };
}

/** `host:port/database` of a connection string, for messages: never its credentials. */
export function describeUrl(connectionString: string): string {
  try {
    const { host, pathname } = new URL(maskSecrets(connectionString)); // a raw "/" in a password would end the host
    return `${host || "local socket"}${pathname}`;
  } catch {
    return "the given address";
  }
}

/**
 * Resolves once the database answers; throws {@link DatabaseUnreachableError} with the cause if it
 * does not.
 */
export async function checkConnection(db: Queryable, where: string): Promise<void> {
  try {
    await db.query({ text: "select 1", values: [] });
  } catch (error) {
    throw new DatabaseUnreachableError(where, error);
  }
}
