import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, runAs } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { type Cluster, makeCluster, removeCluster, serverEnvironment } from "./cluster.ts";
import { freePort } from "./port.ts";
import { withClient } from "./with-client.ts";

/** How long a start may take, in ms. It allows for the recovery after a crash on a slow disk. */
const startMs = 60_000;
/** How long a server may take to stop by one signal, in ms, before the next harsher one. */
const stopMs = 7_000; // on SIGQUIT PostgreSQL gives its child processes 5 s
/**
 * Failures of a start that go away by themselves: another process has the port, or backends of a
 * killed server are still ending.
 */
const passing = /could not bind|could not create any TCP\/IP sockets|pre-existing shared memory block/;

/**
 * One PostgreSQL server on a throw-away cluster. Tests start it, crash it and start it again. It is
 * gone without a trace after `stop()`, after the end of this process, and after its death by
 * SIGKILL.
 */
export class PostgresServer implements AsyncDisposable {
  readonly version: string;
  /** The cluster's directory, removed by `stop()`. */
  readonly directory: string;
  /** The server's log: lock waits, deadlocks, crashes. */
  readonly logFile: string;

  readonly #binaries: Binaries;
  readonly #account: Account | undefined;
  readonly #cluster: Cluster;
  readonly #onExit = (): void => void this.#process?.kill("SIGINT");
  #port: number | undefined;
  #process: ChildProcess | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(binaries: Binaries, account: Account | undefined, cluster: Cluster) {
    this.version = binaries.version;
    this.directory = cluster.directory;
    this.logFile = cluster.log;
    this.#binaries = binaries;
    this.#account = account;
    this.#cluster = cluster;
    process.once("exit", this.#onExit); // the reaper does the rest
  }

  /**
   * Makes a cluster and starts a server on it. Throws with the end of the server's log if it does
   * not start.
   */
  static async launch(binaries: Binaries, account: Account | undefined, settings: Record<string, string>) {
    const cluster = await makeCluster(binaries, account, settings);
    const server = new PostgresServer(binaries, account, cluster);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** The process id of the postmaster, while it runs. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * The port on 127.0.0.1, the only address that the server listens on. The same after a restart.
   */
  get port(): number {
    if (this.#port === undefined) throw new Error(`The server of ${this.directory} has never started.`);
    return this.#port;
  }

  /** The superuser's URL of the maintenance database. The same after a restart. */
  get url(): string {
    return `postgres://postgres:${this.#cluster.password}@127.0.0.1:${this.port}/postgres`;
  }

  /**
   * Starts the server on its cluster and port, unless it runs. Resolves when it accepts
   * connections.
   */
  async start(): Promise<void> {
    if (this.#stopped) throw new Error(`The server of ${this.directory} was stopped for good. Start a new one.`);

    const deadline = Date.now() + startMs;
    while (!this.#process) {
      const port = this.#port ?? (await freePort()); // a new port for each attempt, until a caller has been given one
      const words = await this.#tryToStart(port, deadline);
      if (words === undefined) {
        this.#port = port;
        return;
      }
      if (!passing.test(words) || Date.now() > deadline) {
        throw new Error(`PostgreSQL ${this.version} did not start in ${this.directory}. The end of its log:\n${words}`);
      }
      await sleep(100); // nothing reports when the port or the memory is free, so it tries again
    }
  }

  /**
   * Stops the server in a way that looks like a crash to clients: without a farewell or a
   * checkpoint, and with recovery at the next start.
   */
  async stopImmediately(): Promise<void> {
    await this.#end("SIGQUIT");
  }

  /**
   * Lets the server end its sessions and write a checkpoint, then starts it again. Returns false if
   * that took too long and the server was ended as in a crash.
   */
  async restart(): Promise<boolean> {
    const ended = await this.#end("SIGINT");
    await this.start();
    return ended === "SIGINT";
  }

  /** Stops the server for good and removes its directory. May be called more than once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#remove();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Ends the sessions of the clients for which an SQL condition on `pg_stat_activity` is true, as
   * an administrator would. Returns how many there were.
   */
  async terminateBackends(where = "true"): Promise<number> {
    const { rowCount } = await withClient(this.url, (client) =>
      client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and (${where})`,
      ),
    );
    return rowCount ?? 0;
  }

  /** Returns undefined if the server is up, otherwise the log of the attempt. */
  async #tryToStart(port: number, deadline: number): Promise<string | undefined> {
    const log = openSync(this.logFile, "a");
    const logged = statSync(this.logFile).size;
    const child = spawn(this.#binaries.postgres, ["-D", this.#cluster.data, "-p", `${port}`], {
      ...runAs(this.#account),
      cwd: this.directory,
      env: serverEnvironment(),
      detached: true, // in its own session, because Ctrl-C must reach the application before the database
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.unref();
    child.once("error", () => {}); // a failed spawn shows in `pid` as well
    child.once("exit", () => {
      if (this.#process === child) this.#process = undefined;
    });
    this.#process = child.pid === undefined ? undefined : child;

    while (this.#process === child && Date.now() < deadline) {
      if (await this.#isReady(child)) return undefined;
      await sleep(10);
    }
    await this.#end("SIGQUIT");
    return readFileSync(this.logFile).subarray(logged).toString().slice(-4_000) || "(none)";
  }

  /**
   * Whether the server is ready, checked as pg_ctl does: line 1 of postmaster.pid is the process
   * id, line 8 says "ready" once clients may connect.
   */
  async #isReady(child: ChildProcess): Promise<boolean> {
    const lines = (await readFile(join(this.#cluster.data, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
    return Number(lines[0]) === child.pid && lines[7]?.trim() === "ready";
  }

  /**
   * Stops the process: first by the given signal, then by harsher ones. Returns the signal that
   * worked, or undefined if the process did not run.
   */
  async #end(first: "SIGINT" | "SIGQUIT"): Promise<NodeJS.Signals | undefined> {
    let last: NodeJS.Signals | undefined;
    for (const signal of [first, "SIGQUIT", "SIGKILL"] as const) {
      const child = this.#process;
      if (!child) break;
      last = signal;
      const gone = once(child, "exit");
      child.ref(); // or this process could end while it waits
      child.kill(signal);
      await Promise.race([gone, sleep(stopMs, undefined, { ref: false })]);
    }
    return last;
  }

  async #remove(): Promise<void> {
    await this.#end("SIGINT");
    process.off("exit", this.#onExit);
    await removeCluster(this.#cluster);
  }
}
