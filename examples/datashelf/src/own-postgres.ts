import { startEmbedded } from "@hark/test/database";

/**
 * Sees to it that DATABASE_URL names a database: the given one, else an embedded PostgreSQL of this
 * process. Returns a function that stops and removes the embedded one.
 */
export async function ownPostgres(say: (line: string) => void): Promise<() => Promise<void>> {
  if (process.env.DATABASE_URL) return async () => {};
  say("DATABASE_URL is not set: starting an embedded PostgreSQL, which is removed at the end ...");
  const server = await startEmbedded({ durable: true });
  process.env.DATABASE_URL = server.url;
  delete process.env.HARK_LISTEN_URL; // it belongs to another database
  return async () => {
    delete process.env.DATABASE_URL;
    await server.stop();
  };
}
