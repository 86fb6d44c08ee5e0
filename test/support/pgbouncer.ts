import { execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { eventually } from "./eventually.ts";

export interface PgBouncer extends AsyncDisposable {
  /** The database's URL through the pooler. */
  url: string;
  pid: number;
  /** The pooler's own folder, removed with it. Its command line contains the path. */
  folder: string;
}

export interface PgBouncerOptions {
  poolMode: "transaction" | "session";
  /** The most sessions with PostgreSQL; 20 if not given, PgBouncer's default. */
  poolSize?: number;
  /** The most clients; 100 if not given, PgBouncer's default. */
  maxClients?: number;
  /** Takes the start-up options of its clients, and does not pass them on. */
  ignoresOptions?: boolean;
  /** More lines of its configuration. */
  settings?: readonly string[];
  /** Its program; the first on the PATH if not given. */
  program?: string;
}

/**
 * Accounts to run PgBouncer as when the tests run as root, which it refuses. The best candidate
 * first.
 */
const accounts = ["postgres", "_postgres", "nobody"];

/**
 * Starts a PgBouncer before a database, on a port of the loopback address. `await using` ends it.
 * If PgBouncer is not installed, throws with the command that installs it.
 */
export async function startPgBouncer(
  databaseUrl: string,
  {
    poolMode,
    poolSize = 20,
    maxClients = 100,
    ignoresOptions = false,
    settings = [],
    program = findPgBouncer(),
  }: PgBouncerOptions,
): Promise<PgBouncer> {
  if (program === undefined) {
    throw new Error(
      "This needs PgBouncer, which is not installed. Run `sudo apt-get install pgbouncer` (Debian, Ubuntu) or " +
        "`brew install pgbouncer` (macOS), and run it again.",
    );
  }
  const { hostname, port, username, password } = new URL(databaseUrl);
  const user = decodeURIComponent(username);
  const listenPort = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "hark-pgbouncer-"));
  const config = join(folder, "pgbouncer.ini");
  const login = [`host=${hostname}`, `port=${port || "5432"}`, `user=${user}`];
  if (password) login.push(`password=${decodeURIComponent(password)}`);
  await writeFile(
    config,
    [
      "[databases]",
      `* = ${login.join(" ")}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${listenPort}`,
      "unix_socket_dir =",
      "auth_type = any",
      `pool_mode = ${poolMode}`,
      `default_pool_size = ${poolSize}`,
      `max_client_conn = ${maxClients}`,
      ...(ignoresOptions
        ? ["ignore_startup_parameters = options,statement_timeout,idle_in_transaction_session_timeout"]
        : []),
      ...settings,
      "",
    ].join("\n"),
    { mode: 0o600 },
  );

  const account = accountWhenRoot();
  if (account) {
    await chown(folder, account.uid, account.gid);
    await chown(config, account.uid, account.gid);
  }

  const child = spawn(program, [config], { ...account, cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => (log = (log + String(text)).slice(-4_000)));
  const exit = once(child, "exit");
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exit;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(() => child.exitCode === null && answers(listenPort), {
      withinMs: 55_000,
      what: "PgBouncer's port",
      everyMs: 20,
    });
  } catch (cause) {
    await stop();
    throw new Error(`PgBouncer did not start: ${log}`, { cause });
  }

  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(listenPort);
  url.password = "";
  return { url: url.href, pid: child.pid!, folder, [Symbol.asyncDispose]: stop };
}

/** The path of the first PgBouncer that is found, or undefined if none is installed. */
export const findPgBouncer = (): string | undefined => findPgBouncers()[0];

/**
 * The paths of all PgBouncers that are installed: on the PATH, where Debian installs it outside the
 * PATH of ordinary users, and versions of their own under /opt.
 */
export function findPgBouncers(): string[] {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/bin",
    ...(existsSync("/opt") ? readdirSync("/opt") : [])
      .filter((name) => name.startsWith("pgbouncer"))
      .map((name) => join("/opt", name, "bin")),
  ];
  const found = folders.map((folder) => join(folder, "pgbouncer")).filter((path) => existsSync(path));
  return [...new Set(found.map((path) => realpathSync(path)))];
}

/** The version of this PgBouncer, as [major, minor]. */
export function pgBouncerVersion(program: string): [number, number] {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(execFileSync(program, ["--version"], { encoding: "utf8" }))!;
  return [Number(major), Number(minor)];
}

function accountWhenRoot(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of accounts) {
    try {
      const id = (flag: string) =>
        Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // no such account
    }
  }
  throw new Error(
    `PgBouncer refuses to run as root, and none of the accounts ${accounts.join(", ")} exists to run it as.`,
  );
}

/**
 * A port outside the range of outgoing connections: a client that connects to a free port in that
 * range may connect to itself.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    try {
      await once(server.listen({ port, host: "127.0.0.1", exclusive: true }), "listening");
      return port;
    } catch {
      // taken
    } finally {
      server.close();
    }
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
