import { Client, type ClientConfig } from "pg";
import { InvalidOptionsError } from "./errors/index.ts";
import type { Queryable } from "./queryable.ts";
import { isStartupRefused } from "./sqlstate.ts";

/** Returns the password of each new connection, for passwords that change. */
export type Password = () => string | Promise<string>;

/** Where the database is, and how to log in. */
export interface Login {
  /** The URL of the database. */
  connectionString: string;
  /**
   * Called for each new connection, for passwords that change, such as tokens of a cloud. The URL
   * then needs none.
   */
  password?: Password | undefined;
}

/**
 * What each session of Hark sets for itself, so that no default of the role, the database or the
 * server changes what its statements do. Neither the search path nor the defaults that an operator
 * uses to stop writes are among them: triggers of the application rely on the one, and nobody
 * expects Hark to write in spite of the other (docs/decisions/0039).
 */
const ownSettings = {
  default_transaction_isolation: "read committed",
  datestyle: "ISO",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  lock_timeout: "0",
  idle_session_timeout: "0",
} as const;

/** What a URL may not set for our sessions: they set it, or read text in no other encoding. */
const ownParameters = [
  "options",
  "client_encoding",
  "statement_timeout",
  "query_timeout",
  "lock_timeout",
  "idle_in_transaction_session_timeout",
];

export interface SessionOptions {
  /** Settings besides those that each session has, by name. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A transaction pooler is in the way: its clients share sessions, and so may set nothing. */
  readonly isPooled?: boolean;
}

/**
 * What pg needs to open a session of ours: the address, the password, and the options of PGOPTIONS,
 * of the URL and of Hark, joined. pg would let one of them replace the others. Ours stand last, and
 * win over the same setting of another.
 * @throws InvalidOptionsError if it is no URL that pg can read
 */
export function sessionConfig(
  { connectionString, password }: Login,
  { settings = {}, isPooled = false }: SessionOptions = {},
): ClientConfig {
  const issue = connectionStringIssue(connectionString);
  if (issue !== undefined)
    throw new InvalidOptionsError("connection", [{ path: ["connectionString"], message: issue }]);
  const { address, options } = withoutOwnParameters(connectionString);
  const ours = isPooled ? "" : commandLine({ ...ownSettings, ...settings });
  const joined = [process.env.PGOPTIONS, options, ours].filter(Boolean).join(" ");
  return {
    ...addressOf(address),
    ...(joined !== "" && { options: joined }),
    ...(password !== undefined && { password }),
  };
}

/**
 * The address as pg reads it. Of the database's name, pg leaves %23, %3F, %2F and the like as they
 * are, and would connect to another database. Where the name has one, pg gets the parts instead.
 */
function addressOf(connectionString: string): ClientConfig {
  const encoded = /^\w+:\/\/[^/?#]*\/([^?#]*)/.exec(connectionString)?.[1] ?? "";
  let database: string;
  try {
    database = decodeURIComponent(encoded);
    if (database === decodeURI(encoded)) return { connectionString };
  } catch {
    return { connectionString }; // a raw "%", which pg takes as it is
  }
  const { host, port, user, password, ssl } = new Client({ connectionString });
  const application = /[?&]application_name=([^&#]*)/.exec(connectionString)?.[1];
  return {
    database,
    host,
    port,
    ssl,
    ...(user != null && { user }),
    ...(password != null && { password }),
    ...(application !== undefined && { application_name: decodeURIComponent(application) }),
  };
}

/** The settings as the command line of a PostgreSQL session, where a space needs a backslash. */
function commandLine(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, "\\$&")}`)
    .join(" ");
}

/**
 * Which of its settings, these among them, a session does not have: a pooler refused or ignored
 * them, and the defaults there are others.
 */
export async function missingSettings(
  db: Queryable,
  settings: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const wanted = { ...ownSettings, ...settings };
  // Not current_setting(), which writes 1000 ms as "1s". DateStyle has a second part, which no text
  // of ours depends on.
  const { rows } = await db.query({
    text: `select wanted.name from json_each_text($1::json) as wanted (name, value)
             left join pg_settings on lower(pg_settings.name) = wanted.name
            where split_part(setting, ',', 1) is distinct from value order by wanted.name`,
    values: [JSON.stringify(wanted)],
  });
  return rows.map(({ name }) => String(name));
}

/** The URL without what our sessions set themselves, and what it wants to have set. */
function withoutOwnParameters(connectionString: string): { address: string; options: string } {
  const start = connectionString.indexOf("?");
  if (start === -1 || connectionString.startsWith("/")) return { address: connectionString, options: "" };
  const query = new URLSearchParams(connectionString.slice(start + 1).replace(/#.*$/s, ""));
  const options = query.getAll("options").join(" ");
  for (const name of ownParameters) query.delete(name);
  const rest = query.toString();
  return { address: connectionString.slice(0, start) + (rest === "" ? "" : `?${rest}`), options };
}

/**
 * Says in a few words why pg cannot connect to this, and what to write instead; undefined if it
 * can. Never repeats the text, which may hold a password.
 */
export function connectionStringIssue(connectionString: unknown): string | undefined {
  const example = "such as postgres://user@localhost:5432/app";
  if (typeof connectionString !== "string" || connectionString === "") return `is missing: give a URL ${example}`;
  if (/\0|%00/.test(connectionString)) return "has a NUL character";
  if (connectionString.startsWith("/") || connectionString.startsWith("socket:")) return undefined; // a socket's folder
  if (!/^postgres(ql)?:\/\//.test(connectionString)) {
    return /^\s*\w+\s*=/.test(connectionString)
      ? `is a string of keywords, which cannot be read: write it as a PostgreSQL URL ${example}`
      : `is not a PostgreSQL URL ${example}`;
  }
  const host = /^\w+:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(connectionString)?.[1] ?? "";
  const hosts = new URLSearchParams(/\?([^#]*)/.exec(connectionString)?.[1] ?? "").get("host") ?? "";
  if (host.includes(",") || hosts.includes(","))
    return "names several hosts: give the one that takes writes, or a name or proxy that leads to it";
  if (!URL.canParse(connectionString) && !URL.canParse(connectionString.replace("@/", "@localhost/")))
    return `is not a PostgreSQL URL ${example}. Characters like # / ? @ in a password must be percent-encoded`;
  if (connectionString.includes("#")) return 'has a "#", and what follows would be lost: write it as %23';
  return undefined;
}

/**
 * A client that asks for its password each time, although its URL has none: pg takes the empty one
 * of the URL.
 */
export class SessionClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    if (typeof config === "object" && typeof config.password === "function")
      (this as { password: unknown }).password = config.password;
  }
}

/**
 * Opens a session of our own, and gives it what it needs. If the other end refuses it for that, it
 * is opened once more without (FM-80). `opened` gets each client before it connects.
 */
export async function connectSession(
  login: Login,
  { isPooled = false, settings = {}, ...config }: ClientConfig & SessionOptions,
  opened: (client: Client) => void,
): Promise<Client> {
  const open = async (withSettings: boolean): Promise<Client> => {
    const client = new SessionClient({ ...config, ...sessionConfig(login, { settings, isPooled: !withSettings }) });
    opened(client);
    await client.connect();
    return client;
  };
  if (isPooled) return open(false);
  try {
    return await open(true);
  } catch (refusal) {
    if (!isStartupRefused(refusal)) throw refusal;
    return open(false).catch(() => Promise.reject(refusal as Error));
  }
}

/** The URL with its password of now, for what cannot ask for it. */
export async function withFreshPassword({ connectionString, password }: Login): Promise<string> {
  if (password === undefined) return connectionString;
  const given = `password=${encodeURIComponent(await password())}`;
  return `${connectionString}${connectionString.includes("?") ? "&" : "?"}${given}`;
}
