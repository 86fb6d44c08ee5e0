import { readFile } from "node:fs/promises";
import { checkSchema, type Database, openDatabase } from "@hark/core";
import { connectionStringIssue, describeUrl, isPermissionDenied } from "@hark/core/internal";
import { rootOf } from "./exit-codes.ts";
import { UsageError } from "./usage-error.ts";

export interface Connection {
  readonly url: string;
  /**
   * URL for LISTEN that connects to PostgreSQL directly. Needed if `url` goes through a transaction
   * pooler.
   */
  readonly listenUrl: string | undefined;
  /** Host, port and database for messages. Never holds credentials. */
  readonly where: string;
  /** The flag or variable that the URL came from, for messages. */
  readonly source: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the database's URL: --url or --url-file, HARK_DATABASE_URL, DATABASE_URL, PG*. Does not
 * connect.
 * @throws UsageError if there is no URL, or if it is not a PostgreSQL URL
 */
export async function findConnection(
  flags: { readonly url?: string; readonly "url-file"?: string },
  environment: Environment = process.env,
): Promise<Connection> {
  const listenUrl = environment.HARK_LISTEN_URL || undefined;
  if (listenUrl !== undefined) checkUrl(listenUrl, "HARK_LISTEN_URL");
  const { url, source } = await findUrl(flags, environment);
  // The name of the database may stand in PGDATABASE alone.
  const where =
    describeUrl(url) + (url.endsWith("/") && source === "the PG* variables" ? (environment.PGDATABASE ?? "") : "");
  return { url, listenUrl, where, source };
}

async function findUrl(
  flags: { readonly url?: string; readonly "url-file"?: string },
  environment: Environment,
): Promise<{ url: string; source: string }> {
  const { url, "url-file": file } = flags;
  if (url !== undefined && file !== undefined) throw new UsageError("Give either --url or --url-file, not both.");
  if (url !== undefined) return { url: checkUrl(url, "--url"), source: "--url" };
  if (file !== undefined) {
    const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(`The file of --url-file, ${file}, cannot be read (${error.code}).`);
    });
    return { url: checkUrl(text.trim(), "--url-file"), source: "--url-file" };
  }
  for (const source of ["HARK_DATABASE_URL", "DATABASE_URL"]) {
    const given = environment[source];
    if (given) return { url: checkUrl(given, source), source };
  }
  if (isConnectionGiven({}, environment)) return { url: urlOfVariables(environment), source: "the PG* variables" };
  throw new UsageError(
    "No database is given. Set DATABASE_URL to something like postgres://user@localhost:5432/app, or use --url-file.",
  );
}

/** Whether flags or variables name a database. */
export function isConnectionGiven(
  flags: { readonly url?: string; readonly "url-file"?: string },
  { HARK_DATABASE_URL, DATABASE_URL, PGHOST, PGDATABASE, PGUSER, PGPORT }: Environment = process.env,
): boolean {
  const given = [HARK_DATABASE_URL, DATABASE_URL, PGHOST, PGDATABASE, PGUSER, PGPORT];
  return flags.url !== undefined || flags["url-file"] !== undefined || given.some((value) => value);
}

/** Its error never repeats the URL, which may hold a password. */
function checkUrl(url: string, source: string): string {
  const issue = connectionStringIssue(url);
  if (issue === undefined && /^postgres(ql)?:/.test(url)) return url;
  throw new UsageError(`${source} ${issue ?? "is not a PostgreSQL URL such as postgres://user@localhost:5432/app"}.`);
}

/**
 * Makes a URL of host, port and database of PG*. It leaves out user and password, because pg reads
 * the other variables itself.
 */
function urlOfVariables({ PGHOST, PGPORT, PGDATABASE }: Environment): string {
  // pg cannot read a name with such characters from a URL, however it is encoded. It then reads
  // PGDATABASE itself.
  const database = /[?#%\\/]|^\.+$/.test(PGDATABASE ?? "") ? "" : encodeURI(PGDATABASE ?? "");
  const host = PGHOST || "localhost";
  const port = PGPORT || "5432";
  if (host.startsWith("/"))
    return `postgres:///${database}?host=${encodeURIComponent(host)}&port=${encodeURIComponent(port)}`;
  return `postgres://${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
}

/**
 * Checks the schema's version, runs `work` on the database, and closes it. The connection works
 * through a pooler too: it uses no named statements and no session settings. A command sends too
 * few statements to gain from them.
 * @throws DatabaseUnreachableError, SchemaVersionError
 */
export async function withDatabase<Answer>(
  { url }: Connection,
  work: (db: Database) => Promise<Answer>,
): Promise<Answer> {
  await checkSchema(url).catch((error: unknown) => {
    if (!isDenied(error)) throw error; // a role that may only enqueue cannot read hark.migrations
  });
  const db = openDatabase({ connectionString: url, applicationName: "hark", maxConnections: 2, isPooled: true });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

export const isDenied = (error: unknown): boolean => isPermissionDenied(rootOf(error));
