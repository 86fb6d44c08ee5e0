import pg from "pg";

/** A pool that outlives the end of its database: a session that is ended under it is no news, and the next query would tell. */
export function openPool(connectionString: string, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString, max });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}
