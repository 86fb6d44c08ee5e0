import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { appendFile, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type PostgresServer, startEmbedded } from "@hark/test/database";
import pg from "pg";
import { eventually } from "../../../support/eventually.ts";
import { SmallDisk } from "../../../support/small-disk.ts";
import type { Address } from "../network/proxy.ts";

/** Of one small disk. A campaign of 30 minutes writes a third of that. */
const diskMb = 256;
/** How long a standby may take to catch up, or to take over, in ms. */
const standbyMs = 30_000;

const settings = {
  deadlock_timeout: "100ms",
  wal_keep_size: "1GB",
  max_wal_senders: "4",
  // So that a claim does not wait for ever for a standby that is gone.
  wal_receiver_timeout: "5s",
  wal_retrieve_retry_interval: "200ms",
};

/** The folder of a server's tablespace on its disk. */
const spaceOn = (disk: SmallDisk) => join(disk.directory, "space");

/**
 * The PostgreSQL of a campaign: one server, a synchronous standby if one is to be promoted, small
 * disks if one is to be full.
 */
export class CampaignServer implements AsyncDisposable {
  readonly database: string;
  readonly #login: string;
  #primary: PostgresServer;
  #standby: PostgresServer | undefined;
  readonly #servers: PostgresServer[];
  readonly #disks = new Map<PostgresServer, SmallDisk>();
  #pool: pg.Pool | undefined;

  private constructor(primary: PostgresServer, database: string) {
    this.#primary = primary;
    this.#login = primary.url;
    this.#servers = [primary];
    this.database = database;
  }

  /**
   * Starts a server. With `fills` its database lies on a small disk that can be filled, if the
   * system allows that.
   */
  static async start({ fills = false }: { fills?: boolean } = {}): Promise<CampaignServer> {
    const primary = await startEmbedded({ durable: true, settings });
    const server = new CampaignServer(primary, "campaign");
    try {
      await server.#makeDatabase(fills);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #makeDatabase(fills: boolean): Promise<void> {
    const space = fills ? await this.#mountDisk(this.#primary) : undefined;
    const client = new pg.Client({ connectionString: this.#login });
    await client.connect();
    try {
      const name = pg.escapeIdentifier(this.database);
      if (space !== undefined) {
        await client.query(`create tablespace small location ${pg.escapeLiteral(space)}`);
        await client.query(`create database ${name} tablespace small`);
      } else await client.query(`create database ${name}`);
    } finally {
      await client.end();
    }
  }

  /**
   * Mounts a new disk for a server. Returns the folder for a tablespace, or undefined if no disk
   * can be mounted.
   */
  async #mountDisk(owner: PostgresServer): Promise<string | undefined> {
    const disk = await SmallDisk.mount(dirname(owner.directory), { sizeMb: diskMb });
    if (!disk) return undefined;
    this.#disks.set(owner, disk);
    await mkdir(spaceOn(disk), { mode: 0o700 });
    await giveTo(join(owner.directory, "data"), spaceOn(disk));
    return spaceOn(disk);
  }

  get version(): string {
    return this.#primary.version;
  }

  /** The address of the server that accepts writes, or will. */
  get address(): Address {
    return { host: "127.0.0.1", port: this.#primary.port };
  }

  /** Whether its disk can be filled. */
  get hasSmallDisk(): boolean {
    return this.#disks.has(this.#primary);
  }

  /** Fills the disk of the server that accepts writes. Returns a function that makes room again. */
  async fillDisk(): Promise<() => Promise<void>> {
    const disk = this.#disks.get(this.#primary);
    if (!disk) throw new Error("the server has no small disk to fill");
    return disk.fill();
  }

  /** The campaign's database, without a proxy. */
  get url(): string {
    const url = new URL(this.#login); // a standby has the passwords of its primary
    url.port = String(this.#primary.port);
    url.pathname = `/${this.database}`;
    return url.href;
  }

  get hasStandby(): boolean {
    return this.#standby !== undefined;
  }

  /**
   * The campaign's own sessions, without a proxy. They give up soon, since the server may be down.
   */
  get pool(): pg.Pool {
    if (this.#pool) return this.#pool;
    const pool = new pg.Pool({
      connectionString: this.url,
      max: 4,
      application_name: "campaign",
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

  /** Starts the server again after a crash. Resolves when it accepts writes. */
  async comeBack(): Promise<void> {
    await this.#primary.start();
    await this.#takesWrites();
  }

  /** Restarts the server. Returns false if it crashed, as PostgresServer.restart() does. */
  async restart(): Promise<boolean> {
    const wasOrderly = await this.#primary.restart();
    await this.#takesWrites();
    return wasOrderly;
  }

  /**
   * Makes a standby that every commit waits for. The PostgreSQL from npm has no pg_basebackup, so
   * the data directory is copied between pg_backup_start and pg_backup_stop. The copy replaces the
   * data of another server that was just made.
   */
  async addStandby(): Promise<void> {
    const standby = await startEmbedded({ durable: true, settings });
    this.#servers.push(standby);
    await standby.stopImmediately();
    const [from, to] = [join(this.#primary.directory, "data"), join(standby.directory, "data")];
    const client = await this.pool.connect(); // one session: a backup ends with its session
    try {
      await client.query("select pg_backup_start('campaign', true)");
      await rm(to, { recursive: true });
      await promisify(execFile)("cp", ["-a", from, to]);
      await this.#copySpace(standby, to);
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

  /**
   * The copied link to the tablespace leads to the primary's disk. Gives the standby a copy on its
   * own disk.
   */
  async #copySpace(standby: PostgresServer, data: string): Promise<void> {
    const disk = this.#disks.get(this.#primary);
    if (!disk) return;
    const space = await this.#mountDisk(standby);
    if (space === undefined) throw new Error("a second small disk could not be mounted");
    await promisify(execFile)("cp", ["-a", `${spaceOn(disk)}/.`, space]);
    const links = join(data, "pg_tblspc");
    for (const link of await readdir(links)) {
      await rm(join(links, link));
      await symlink(space, join(links, link));
    }
  }

  /** Promotes the standby after the primary has crashed. Resolves when it accepts writes. */
  async promote(): Promise<void> {
    const standby = this.#standby;
    if (!standby) throw new Error("there is no standby to promote");
    this.#primary = standby;
    this.#standby = undefined;
    const former = this.#pool;
    this.#pool = undefined;
    void former?.end().catch(() => {});
    await this.pool.query("select pg_promote(true, 20)");
    await this.#takesWrites();
  }

  /** The logs of all servers. */
  get log(): string {
    return this.#servers.map(({ logFile }) => readFileSync(logFile, "utf8")).join("\n");
  }

  /** How many statements have failed so far because the disk was full. */
  get spaceErrors(): number {
    return this.log.split("No space left on device").length - 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#pool?.end().catch(() => {});
    await Promise.all(this.#servers.map((server) => server.stop()));
    for (const disk of this.#disks.values()) await disk[Symbol.asyncDispose]();
  }

  async #takesWrites(): Promise<void> {
    const isWritable = async () => {
      const { rows } = await this.pool.query<{ is: boolean }>("select not pg_is_in_recovery() as is");
      return rows[0]?.is;
    };
    await eventually(isWritable, { withinMs: standbyMs, what: "a server that accepts writes", everyMs: 10 });
  }
}

/**
 * Writes a file and gives it the owner of another, so that the owner of the cluster can read it.
 */
async function writeOver(file: string, ownersFile: string, text: string): Promise<void> {
  await writeFile(file, text);
  await giveTo(ownersFile, file);
}

/** Gives a file or folder the owner of another. */
async function giveTo(ownersFile: string, file: string): Promise<void> {
  await promisify(execFile)("chown", [`--reference=${ownersFile}`, file]);
}
