import { Socket } from "node:net";
import { Pool, type PoolClient, type PoolConfig, TypeOverrides, types } from "pg";
import { DatabaseUnreachableError } from "./errors/index.ts";
import type { PgPool } from "./pool.ts";
import { isPoolerRefusal } from "./sqlstate.ts";

/**
 * Whatever runs a statement: a pool, a client, a {@link Database}, or a caller's transaction behind
 * transaction.ts.
 */
export interface Queryable {
  query(statement: { name?: string; text: string; values: unknown[] }): Promise<{ rows: Record<string, unknown>[] }>;
}

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

export interface DatabaseOptions {
  /** The URL of the database. */
  connectionString: string;
  /** What pg_stat_activity shows; "hark" if not given. */
  applicationName?: string;
  /** Most connections; 3 if not given. */
  maxConnections?: number;
  /**
   * No statement may take longer, in ms; 10 s if not given. The server gives up half a second
   * before the client does.
   */
  deadlineMs?: number;
  /** No connection may take longer to come about, in ms; 5 s if not given. */
  connectMs?: number;
  /**
   * Only the moves of jobs run here: every table is reached by an index, whatever stale statistics
   * say. A claim that was planned while the queue was empty would scan the whole of it later.
   */
  plansByIndex?: boolean;
  /**
   * The URL leads through a transaction pooler: no named statements and no session settings
   * (FM-04).
   */
  isPooled?: boolean;
}

/** Reads int8 as bigint: ids go beyond 2^53 (FM-38). */
export const pgTypes = new TypeOverrides();
pgTypes.setTypeParser(types.builtins.INT8, BigInt);

/** Opens nothing yet: the pool connects when it is first asked. */
export function openDatabase(options: DatabaseOptions): Database {
  const deadlineMs = options.deadlineMs ?? 10_000;
  const config: PoolConfig = {
    connectionString: options.connectionString,
    application_name: options.applicationName ?? "hark",
    max: options.maxConnections ?? 3,
    connectionTimeoutMillis: options.connectMs ?? 5_000,
    query_timeout: deadlineMs,
    keepAlive: true,
    types: pgTypes,
    stream: mortalSocket,
  };
  if (!options.isPooled) {
    config.statement_timeout = deadlineMs - 500;
    config.idle_in_transaction_session_timeout = 10_000;
    // Our statements are short and named: compiling them costs more than it saves (52 ms for a 0.2
    // ms look-up, measured), and one generic plan cannot be talked into a bad one by stale
    // statistics.
    config.options = "-c jit=off -c plan_cache_mode=force_generic_plan";
    if (options.plansByIndex) config.options += " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";
  }
  return wrapPool(new Pool(config), { isOurs: true, isPooled: options.isPooled ?? false });
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
export function borrowPool(pool: PgPool, { isPooled = false }: { isPooled?: boolean } = {}): Database {
  // Of a pool that is not ours, only what PgPool names is used.
  return wrapPool(pool as Pool, { isOurs: false, isPooled });
}

/** What openDatabase() asks of a session when it starts, and a transaction pooler refuses. */
const sessionSettings = ["statement_timeout", "idle_in_transaction_session_timeout", "options"] as const;

function wrapPool(pool: Pool, { isOurs, isPooled }: { isOurs: boolean; isPooled: boolean }): Database {
  // Without listeners, a server that closes idle connections ends the process (FM-06). The pool
  // drops such clients itself.
  const ignore = () => {};
  const guard = (client: PoolClient) => void client.on("error", ignore);
  pool.on("error", ignore);
  pool.on("connect", guard);

  let isWithoutSession = isPooled;
  /**
   * Does `work`, and once more without any session state if a pooler turned out to stand in the
   * way.
   */
  const overAnything = async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    try {
      return await work();
    } catch (error) {
      if (!isOurs || !isPoolerRefusal(error)) throw error;
      isWithoutSession = true;
      for (const setting of sessionSettings) delete pool.options[setting];
      return work();
    }
  };

  const query = (on: Pool | PoolClient, { name, text, values }: Parameters<Queryable["query"]>[0]) =>
    on.query(isWithoutSession || name === undefined ? { text, values } : { name, text, values });

  const onClient = async <Answer>(work: (client: PoolClient) => Promise<Answer>): Promise<Answer> => {
    const client = await overAnything(() => pool.connect());
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

  return {
    pool,
    query(statement) {
      return overAnything(() => query(pool, statement));
    },
    transaction(work) {
      return onClient(async (client) => {
        await client.query("begin");
        const answer = await work(client);
        await client.query("commit");
        return answer;
      });
    },
    onOneConnection(work) {
      return onClient((client) => work({ query: (statement) => query(client, statement) }));
    },
    async close() {
      pool.off("error", ignore);
      pool.off("connect", guard);
      pool.on("error", ignore);
      if (isOurs && !pool.ended && !pool.ending) await pool.end();
    },
  };
}

/** `host:port/database` of a connection string, for messages: never its credentials. */
export function describeUrl(connectionString: string): string {
  try {
    const { host, pathname } = new URL(connectionString);
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
