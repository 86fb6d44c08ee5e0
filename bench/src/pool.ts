import pg from "pg";

/** How long a connection, and a statement, may take, in ms: a checkpoint on a busy disk included. */
const connectMs = 10_000;
const statementMs = 60_000;

/** A pool that outlives the end of its database: a session that is ended under it is no news, and the next query would tell. */
export function openPool(connectionString: string, max: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max,
    connectionTimeoutMillis: connectMs,
    query_timeout: statementMs,
  });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** A connection for statements that may take long: filling a table with millions of rows, say. `limitMs` bounds each. */
export async function openClient(
  connectionString: string,
  { limitMs = statementMs, options }: { limitMs?: number; options?: string } = {},
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: connectMs,
    query_timeout: limitMs,
    ...(options === undefined ? {} : { options }),
  });
  client.on("error", () => {}); // the next statement tells
  await client.connect();
  return client;
}
