import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { withClient } from "./with-client.ts";

/** A PostgreSQL server to create databases on, wherever it came from. */
export interface TestDatabase extends AsyncDisposable {
  kind: "given" | "container" | "embedded" | "installed";
  /** A line for people: which server is used, its version, and the reason if it may surprise. */
  describe: string;
  /** An administrator's URL of the maintenance database. */
  url: string;
  /**
   * Creates a database, empty or as a copy of a template. Returns its URL. Waits while the template
   * has sessions. Without a name it gets a unique one.
   */
  createDatabase(name?: string, options?: { template?: string }): Promise<string>;
  /**
   * Drops a database that was created here, together with its sessions. Throws for any other
   * database.
   */
  dropDatabase(urlOrName: string): Promise<void>;
  /**
   * Drops the databases that were created here, or ends the server if it was started here. May be
   * called more than once.
   */
  stop(): Promise<void>;
}

/** How long to wait for a template that is in use, in ms, before giving up. */
const busyMs = 30_000;
/** `object_in_use`: a session uses the template. */
const objectInUse = "55006";

/** The one TestDatabase for every kind of server. They differ only in how they are released. */
export class OpenedServer implements TestDatabase {
  readonly kind: TestDatabase["kind"];
  readonly describe: string;
  readonly url: string;
  readonly #end: (() => Promise<void>) | undefined;
  readonly #made = new Set<string>();
  #stopped: Promise<void> | undefined;

  /** Without `end` the server was not started here: only the databases created here are dropped. */
  constructor(kind: TestDatabase["kind"], describe: string, url: string, end?: () => Promise<void>) {
    this.kind = kind;
    this.describe = describe;
    this.url = url;
    this.#end = end;
  }

  async createDatabase(
    name = `hark_test_${randomBytes(6).toString("hex")}`,
    { template = "template0" }: { template?: string } = {},
  ): Promise<string> {
    const deadline = Date.now() + busyMs;
    for (;;) {
      try {
        // Compared with wal_log, the default, copies of a template of 15 tables take half as long,
        // and drops a third.
        await this.#run(`create database ${quoted(name)} template ${quoted(template)} strategy file_copy`);
        this.#made.add(name);
        return this.#urlOf(name);
      } catch (error) {
        if ((error as { code?: string }).code !== objectInUse || Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  async dropDatabase(urlOrName: string): Promise<void> {
    const name = urlOrName.includes("://") ? decodeURIComponent(new URL(urlOrName).pathname.slice(1)) : urlOrName;
    if (!this.#made.has(name)) throw new Error(`The database ${name} was not created here, so it is not dropped.`);

    await this.#run(`drop database if exists ${quoted(name)} with (force)`);
    this.#made.delete(name);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end ? this.#end() : this.#dropAll();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #dropAll(): Promise<void> {
    for (const name of this.#made) await this.dropDatabase(name);
  }

  async #run(statement: string): Promise<void> {
    await withClient(this.url, (client) => client.query(statement));
  }

  #urlOf(name: string): string {
    const url = new URL(this.url);
    url.pathname = `/${encodeURIComponent(name)}`;
    return url.href;
  }
}

function quoted(name: string): string {
  return pg.escapeIdentifier(name);
}
