import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { appendFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type PostgresServer, startEmbedded } from "@hark/test/database";
import pg from "pg";
import { eventually } from "../../support/eventually.ts";
import type { Address } from "../network/proxy.ts";

/** How long a standby may take to catch up, or to take over, in ms. */
const standbyMs = 30_000;

const settings = {
  deadlock_timeout: "100ms",
  wal_keep_size: "1GB",
  max_wal_senders: "4",
  // A claim that waits for a standby which is gone would wait for ever.
  wal_receiver_timeout: "5s",
  wal_retrieve_retry_interval: "200ms",
};

/** The PostgreSQL of a campaign: one server, and a synchronous standby where a promotion is due. */
export class CampaignServer implements AsyncDisposable {
  readonly database: string;
  readonly #login: string;
  #primary: PostgresServer;
  #standby: PostgresServer | undefined;
  readonly #servers: PostgresServer[];
  #pool: pg.Pool | undefined;

  private constructor(primary: PostgresServer, database: string) {
    this.#primary = primary;
    this.#login = primary.url;
    this.#servers = [primary];
    this.database = database;
  }

  static async start(): Promise<CampaignServer> {
    const primary = await startEmbedded({ durable: true, settings });
    const server = new CampaignServer(primary, "chaos");
    const client = new pg.Client({ connectionString: primary.url });
    await client.connect();
    await client.query(`create database ${pg.escapeIdentifier(server.database)}`);
    await client.end();
    return server;
  }

  get version(): string {
    return this.#primary.version;
  }

  /** Where the server is that takes writes, or will. */
  get address(): Address {
    return { host: "127.0.0.1", port: this.#primary.port };
  }

  /** The campaign's database, straight. */
  get url(): string {
    const url = new URL(this.#login); // a standby has the passwords of its primary
    url.port = String(this.#primary.port);
    url.pathname = `/${this.database}`;
    return url.href;
  }

  get hasStandby(): boolean {
    return this.#standby !== undefined;
  }

  /** The campaign's own sessions, through no proxy. They give up soon, since the server may be down. */
  get pool(): pg.Pool {
    if (this.#pool) return this.#pool;
    const pool = new pg.Pool({
      connectionString: this.url,
      max: 4,
      application_name: "chaos campaign",
      connectionTimeoutMillis: 2_000,
      query_timeout: 10_000,
    });
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return (this.#pool = pool);
  }

  crash(): Promise<void> {
    return this.#primary.stopImmediately();
  }

  /** Starts the server again after a crash, and answers when it takes writes. */
  async comeBack(): Promise<void> {
    await this.#primary.start();
    await this.#takesWrites();
  }

  async restart(): Promise<void> {
    await this.#primary.restart();
    await this.#takesWrites();
  }

  /**
   * Makes a standby that every commit waits for. npm's PostgreSQL comes without pg_basebackup, so its data directory is copied
   * between pg_backup_start and pg_backup_stop; the copy takes the place of the data of another server that was just made.
   */
  async addStandby(): Promise<void> {
    const standby = await startEmbedded({ durable: true, settings });
    this.#servers.push(standby);
    await standby.stopImmediately();
    const [from, to] = [join(this.#primary.directory, "data"), join(standby.directory, "data")];
    const client = await this.pool.connect(); // one session: a backup ends with the session that began it
    try {
      await client.query("select pg_backup_start('chaos', true)");
      await rm(to, { recursive: true });
      await promisify(execFile)("cp", ["-a", from, to]);
      const { rows } = await client.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
      await writeOver(join(to, "backup_label"), from, rows[0]!.labelfile);
    } finally {
      client.release();
    }
    await rm(join(to, "postmaster.pid"), { force: true });
    await writeOver(join(to, "standby.signal"), from, "");
    const { username, password, port } = new URL(this.url);
    await appendFile(
      join(to, "postgresql.conf"),
      `primary_conninfo = 'host=127.0.0.1 port=${port} user=${username} password=${password} application_name=standby'\n`,
    );
    await standby.start();
    this.#standby = standby;
    await this.pool.query("alter system set synchronous_standby_names = 'standby'");
    await this.pool.query("select pg_reload_conf()");
    const isInStep = async () => {
      const { rowCount } = await this.pool.query("select from pg_stat_replication where sync_state = 'sync'");
      return rowCount === 1;
    };
    await eventually(isInStep, { withinMs: standbyMs, what: "the standby in step", everyMs: 50 });
  }

  /** The primary dies, and the standby takes its place; answers when that takes writes. */
  async promote(): Promise<void> {
    const standby = this.#standby;
    if (!standby) throw new Error("there is no standby to promote");
    await this.#primary.stopImmediately();
    this.#primary = standby;
    this.#standby = undefined;
    const former = this.#pool;
    this.#pool = undefined;
    void former?.end().catch(() => {});
    await this.pool.query("select pg_promote(true, 20)");
    await this.#takesWrites();
  }

  /** What all servers logged. */
  get log(): string {
    return this.#servers.map(({ logFile }) => readFileSync(logFile, "utf8")).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#pool?.end().catch(() => {});
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  async #takesWrites(): Promise<void> {
    const isWritable = async () => {
      const { rows } = await this.pool.query<{ is: boolean }>("select not pg_is_in_recovery() as is");
      return rows[0]?.is;
    };
    await eventually(isWritable, { withinMs: standbyMs, what: "a server that takes writes", everyMs: 10 });
  }
}

/** Writes a file as whoever owns the cluster may read it: with the owner of another. */
async function writeOver(file: string, ownersFile: string, text: string): Promise<void> {
  await writeFile(file, text);
  await promisify(execFile)("chown", [`--reference=${ownersFile}`, file]);
}
