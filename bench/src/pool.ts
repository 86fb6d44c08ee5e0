import pg from "pg";

/**
 * The longest time for a connection, and for a statement, in ms. It allows for a checkpoint on a
 * busy disk.
 */
const connectMs = 10_000;
const statementMs = 60_000;

/**
 * A pool that survives the end of its database. An idle session that is ended raises no error: the
 * next query reports it.
 */
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

/**
 * A connection for statements that may take long, such as filling a table with millions of rows.
 * `limitMs` bounds each.
 */
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
  client.on("error", () => {}); // the next statement reports it
  await client.connect();
  return client;
}
