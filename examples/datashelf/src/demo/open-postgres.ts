import { startEmbedded } from "@hark/test/database";
import pg from "pg";
import { UsageError } from "./options.ts";

export interface OpenedPostgres {
  url: string;
  /** Describes the server for people: which one it is, and its version. */
  describe: string;
  stop(): Promise<void>;
}

/**
 * Opens the given database, or an embedded PostgreSQL that is removed when stopped. A given
 * database must hold no other jobs and crawls: the demo ends when no job is left to run, and counts
 * all jobs there are.
 */
export async function openPostgres(given: string | undefined): Promise<OpenedPostgres> {
  if (given === undefined) {
    const server = await startEmbedded({ durable: true });
    return { url: server.url, describe: `embedded PostgreSQL ${server.version}`, stop: () => server.stop() };
  }

  const client = new pg.Client({ connectionString: given, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {}); // if the server stops, the query fails, and that is enough
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; used: string | null }>(
      `select current_setting('server_version') as version,
              (select min(nspname) from pg_namespace where nspname in ('hark', 'datashelf')) as used`,
    );
    const { version, used } = rows[0]!;
    if (used !== null)
      throw new UsageError(`--database expects an empty database, but this one already has a schema "${used}"`);
    return { url: given, describe: `given PostgreSQL ${version}`, stop: async () => {} };
  } finally {
    await client.end().catch(() => {});
  }
}
