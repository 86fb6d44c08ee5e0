import { serverAccount } from "./account.ts";
import { binariesIn } from "./binaries.ts";
import { embeddedBinaries } from "./embedded.ts";
import { PostgresServer } from "./server.ts";
import { type ServerOptions, serverSettings } from "./settings.ts";

/** Starts the PostgreSQL 18 that npm delivers, on a throw-away cluster. */
export async function startEmbedded(options: ServerOptions = {}): Promise<PostgresServer> {
  refuseWindows();
  const account = serverAccount();
  return PostgresServer.launch(await embeddedBinaries(account), account, serverSettings(options));
}

/**
 * Starts an installed PostgreSQL by its bin directory, on a throw-away cluster: see
 * `findInstalled`.
 */
export async function startInstalled(binDirectory: string, options: ServerOptions = {}): Promise<PostgresServer> {
  refuseWindows();
  const account = serverAccount();
  return PostgresServer.launch(await binariesIn(binDirectory, account), account, serverSettings(options));
}

/** The server is stopped by signals and removed by a shell script. Windows has neither. */
function refuseWindows(): void {
  if (process.platform !== "win32") return;
  throw new Error(
    "No PostgreSQL is started on Windows. Start Docker, or set TEST_DATABASE_URL to a server of your own.",
  );
}
