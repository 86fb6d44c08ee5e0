import { dockerAnswers, startContainer } from "./container.ts";
import type { PostgresServer } from "./server.ts";
import type { ServerOptions } from "./settings.ts";
import { startEmbedded, startInstalled } from "./start.ts";
import { OpenedServer, type TestDatabase } from "./test-database.ts";
import { withClient } from "./with-client.ts";

export interface OpenOptions extends ServerOptions {
  /** A server to use instead of starting one. TEST_DATABASE_URL if not given. */
  url?: string | undefined;
  /** Starts this installed PostgreSQL, whatever else is available: see `findInstalled`. */
  binDirectory?: string | undefined;
}

/**
 * Opens the first that applies: the installation named in the options, the server named in the
 * options or in TEST_DATABASE_URL, a container if a Docker engine responds, the PostgreSQL that npm
 * delivers.
 */
export async function openTestDatabase(options: OpenOptions = {}): Promise<TestDatabase> {
  if (options.binDirectory) {
    return ours("installed", await startInstalled(options.binDirectory, options));
  }

  const given = options.url || process.env["TEST_DATABASE_URL"];
  if (given) return new OpenedServer("given", `given PostgreSQL ${await versionOf(given)}`, given);

  let why = "";
  if (await dockerAnswers()) {
    try {
      const { url, end } = await startContainer(options);
      return new OpenedServer("container", `PostgreSQL ${await versionOf(url)} in a container`, url, end);
    } catch (error) {
      // An engine that cannot fetch the image must not keep the tests from running.
      why = ` (Docker responded, but started no container: ${(error as Error).message})`;
    }
  }
  return ours("embedded", await startEmbedded(options), why);
}

function ours(kind: "embedded" | "installed", server: PostgresServer, why = ""): TestDatabase {
  return new OpenedServer(kind, `${kind} PostgreSQL ${server.version}${why}`, server.url, () => server.stop());
}

/**
 * Returns the server's version, which also shows that the server is reachable. Errors do not
 * contain the password.
 */
async function versionOf(url: string): Promise<string> {
  try {
    const { rows } = await withClient(url, (client) =>
      client.query<{ version: string }>("select current_setting('server_version') as version"),
    );
    return rows[0]?.version ?? "of unknown version";
  } catch (cause) {
    throw new Error(
      `The given PostgreSQL at ${hostOf(url)} does not respond. Start it, or unset TEST_DATABASE_URL to have the tests start one.`,
      { cause },
    );
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "an unreadable url";
}
