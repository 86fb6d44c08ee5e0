import type { Queryable } from "@hark/core";
import { pgTypes } from "@hark/core/internal";
import pg from "pg";
import { type Change, type EndedClaim, Rows } from "./rows.ts";
import { inSimulatedTime, installSimulatedSchema, sessionOptions, startOfTime } from "./simulated-schema.ts";

export type Query = Parameters<Queryable["query"]>[0];
export type Answer = { rows: Record<string, unknown>[] };

/** What a world has to do with its server. */
export interface Surroundings {
  /** The time, in ms since the world began. */
  now(): number;
  /** A transaction committed that notified. */
  notified(channel: string, payload: string): void;
  /** A transaction committed in which a claim came to its end. */
  ended(claim: EndedClaim): void;
}

/**
 * The database of the simulated worlds, one after the other: a real one, on which the statements of
 * the product run as they are. The world stands still meanwhile, so that each takes effect as a
 * whole at one moment. What happens between two statements' locks is the interleaver's to try.
 */
export class Server implements AsyncDisposable {
  readonly #connectionString: string;
  readonly #idle: pg.Client[] = [];
  readonly #sessions = new Set<Session>();
  /** For all who need no session of their own. */
  #shared: Session | undefined;
  #rows = new Rows();
  #world: Surroundings = { now: () => 0, notified: () => {}, ended: () => {} };

  private constructor(connectionString: string) {
    this.#connectionString = connectionString;
  }

  /** Takes a freshly migrated database for its own. */
  static async open(connectionString: string): Promise<Server> {
    const server = new Server(connectionString);
    const client = await server.#connect();
    await installSimulatedSchema(client);
    server.#idle.push(client);
    return server;
  }

  /** The rows of the tables that hold jobs, as of the last commit. */
  get rows(): Rows {
    return this.#rows;
  }

  /** Empties the tables for a new world, whose server this is from now on. */
  async begin(world: Surroundings): Promise<void> {
    for (const session of [...this.#sessions]) await session.end();
    this.#world = world;
    const session = await this.connect();
    await session.execute({ text: "select sim.clear()", values: [] });
    this.#rows = new Rows();
    this.#shared = session;
  }

  /** A session with a state: a transaction, or locks. */
  async connect(): Promise<Session> {
    const client = this.#idle.pop() ?? (await this.#connect());
    const session = new Session(client, {
      now: () => this.#world.now(),
      committed: (changes, notifications) => this.#committed(changes, notifications),
      over: () => {
        this.#sessions.delete(session);
        this.#idle.push(client);
      },
    });
    this.#sessions.add(session);
    return session;
  }

  /** Runs a statement that leaves no state behind. */
  async execute(query: Query): Promise<Answer> {
    this.#shared ??= await this.connect();
    return this.#shared.execute(query);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) await session.end();
    await Promise.all(this.#idle.map((client) => client.end()));
  }

  #committed(changes: readonly Change[], notifications: ReadonlySet<string>): void {
    for (const claim of this.#rows.apply(changes)) this.#world.ended(claim);
    for (const each of notifications) this.#world.notified(...(JSON.parse(each) as [string, string]));
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#connectionString,
      options: sessionOptions,
      types: pgTypes,
      pipeline: true,
    });
    await client.connect();
    return client;
  }
}

interface Parts {
  now(): number;
  committed(changes: readonly Change[], notifications: ReadonlySet<string>): void;
  over(): void;
}

/** A session of the server's. Its state goes with it. */
export class Session {
  readonly #client: pg.Client;
  readonly #parts: Parts;
  /** Of the open transaction. */
  #changes: Change[] = [];
  /** PostgreSQL sends those that are equal within a transaction once. */
  #notifications = new Set<string>();
  #isOver = false;
  readonly #notice = ({ message, detail }: { message?: string | undefined; detail?: string | undefined }): void => {
    if (message === "row") this.#changes.push(JSON.parse(detail!) as Change);
    if (message === "notify") this.#notifications.add(detail!);
  };

  constructor(client: pg.Client, parts: Parts) {
    this.#client = client;
    this.#parts = parts;
    client.on("notice", this.#notice);
  }

  /** Runs a statement at this moment of the world. Throws what PostgreSQL does. */
  async execute({ name, text, values }: Query): Promise<Answer> {
    if (this.#isOver) throw Object.assign(new Error("Connection terminated unexpectedly"), { code: "ECONNRESET" });
    const now = String((startOfTime + this.#parts.now()) / 1_000);
    // Sent together: each has its own Sync, and one round trip does for both.
    const clock = this.#client.query({ name: "clock", text: "select set_config('sim.now', $1, false)", values: [now] });
    const answer = this.#client.query({ name, text: inSimulatedTime(text), values });
    try {
      await clock;
      const { rows } = (await answer) as Answer;
      if (this.#client.getTransactionStatus() === "I") {
        const [changes, notifications] = [this.#changes, this.#notifications];
        this.#forget();
        this.#parts.committed(changes, notifications);
      }
      return { rows };
    } catch (error) {
      await this.#client.query("select"); // the server tells of an error before it lets go of the locks
      this.#forget();
      throw error;
    }
  }

  /** Rolls back what it has not committed, and gives its locks back. */
  async end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#client.query("rollback; select pg_advisory_unlock_all()");
    this.#client.off("notice", this.#notice);
    this.#parts.over();
  }

  #forget(): void {
    this.#changes = [];
    this.#notifications = new Set();
  }
}
