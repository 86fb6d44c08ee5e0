import { readFile } from "node:fs/promises";
import { checkSchema, type Database, describeUrl, isPermissionDenied, openDatabase } from "@hark/core";
import { rootOf } from "./exit-codes.ts";
import { UsageError } from "./usage-error.ts";

export interface Connection {
  readonly url: string;
  /** Straight to PostgreSQL, for LISTEN, where `url` leads through a transaction pooler. */
  readonly listenUrl: string | undefined;
  /** Where it leads, for messages: never with credentials. */
  readonly where: string;
  /** What the address was taken from, for messages. */
  readonly source: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the database: --url or --url-file, HARK_DATABASE_URL, DATABASE_URL, PG*. Nothing is connected yet.
 * @throws UsageError if there is none, or one that is no PostgreSQL URL
 */
export async function findConnection(
  flags: { readonly url?: string; readonly "url-file"?: string },
  environment: Environment = process.env,
): Promise<Connection> {
  const listenUrl = environment.HARK_LISTEN_URL || undefined;
  if (listenUrl !== undefined) checkUrl(listenUrl, "HARK_LISTEN_URL");
  const { url, source } = await findUrl(flags, environment);
  return { url, listenUrl, where: describeUrl(url), source };
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
  if (environment.PGHOST || environment.PGDATABASE || environment.PGUSER || environment.PGPORT) {
    return { url: urlOfVariables(environment), source: "the PG* variables" };
  }
  throw new UsageError(
    "No database is given: set DATABASE_URL to something like postgres://user@localhost:5432/app, or use --url-file.",
  );
}

/** Never repeats the URL: it holds a password. */
function checkUrl(url: string, source: string): string {
  const isUrl = (text: string) => URL.canParse(text) || URL.canParse(text.replace("@/", "@localhost/"));
  if (/^postgres(ql)?:\/\//.test(url) && isUrl(url)) return url;
  throw new UsageError(
    `${source} is no PostgreSQL URL, such as postgres://user@localhost:5432/app. Characters like # / ? @ in a ` +
      `password must be percent-encoded.`,
  );
}

/** Host, port and database of PG*; pg itself reads user, password and the others, so they never become part of a URL. */
function urlOfVariables({ PGHOST, PGPORT, PGDATABASE }: Environment): string {
  const database = encodeURI(PGDATABASE ?? "");
  const host = PGHOST || "localhost";
  const port = PGPORT || "5432";
  if (host.startsWith("/"))
    return `postgres:///${database}?host=${encodeURIComponent(host)}&port=${encodeURIComponent(port)}`;
  return `postgres://${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
}

/**
 * Runs `work` on a database whose schema is this code's, and closes it. Without named statements and session settings, as for
 * a pooler: a command sends too few statements to gain from them, and may be given any URL.
 * @throws DatabaseUnreachableError, SchemaVersionError
 */
export async function withDatabase<Answer>(
  { url }: Connection,
  work: (db: Database) => Promise<Answer>,
): Promise<Answer> {
  await checkSchema(url).catch((error: unknown) => {
    if (!isDenied(error)) throw error; // a role that may only enqueue cannot read the ledger, and need not
  });
  const db = openDatabase({ connectionString: url, applicationName: "hark", maxConnections: 2, isPooled: true });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

export const isDenied = (error: unknown): boolean => isPermissionDenied(rootOf(error));
