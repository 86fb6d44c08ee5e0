import { type Database, DatabaseUnreachableError, type Logger } from "@hark/core";
import { orLate, statements } from "@hark/core/internal";
import type { PoolClient } from "pg";
import { type Ports, realPorts } from "../ports.ts";

export interface NotifyGateOptions {
  /**
   * A direct URL to PostgreSQL, or one through a pooler in session mode, because the locks belong
   * to one session.
   */
  readonly connectionString: string;
  readonly logger: Logger;
  /**
   * The session is lost, and every queue is closed with it: a worker that sleeps must look again,
   * and open the gate again before it sleeps. Must not throw.
   */
  readonly onLost?: () => void;
  /** From one check of a session with open queues to the next, in ms. */
  readonly checkMs?: number;
  /**
   * Deadline for each answer and for connecting, in ms. A worker that is falling asleep does not
   * look for jobs meanwhile.
   */
  readonly answerMs?: number;
  readonly openDatabase?: Ports["openDatabase"];
}

/**
 * Transactions that wrote to the table of waiting jobs when a queue was opened, and may not have
 * seen that it is open.
 */
export type Writers = readonly string[];

/**
 * Tells producers for which queues they must notify. A queue is open while this process sleeps on
 * it. While no process has it open, a producer's commit costs no more than without a trigger
 * (docs/decisions/0006).
 *
 * An open queue is an advisory lock of this gate's one session, so it is closed when the process
 * dies. Only open a queue while the listener is "listening": behind a transaction pooler the locks
 * would stay on sessions of others. {@link fallAsleep} has the order of the steps that loses no
 * wake-up.
 */
export class NotifyGate implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #onLost: () => void;
  readonly #checkMs: number;
  readonly #db: Database;
  /**
   * By queue. Each belongs to one call of open(), so that a late answer does not count for a later
   * call.
   */
  readonly #queues = new Map<string, { openedAt: number | undefined }>();
  /** Resolves when the last statement has its answer. */
  #last: Promise<unknown> = Promise.resolve();
  #connecting: Promise<PoolClient> | undefined;
  #client: PoolClient | undefined;
  #checking: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor({
    connectionString,
    logger,
    onLost = () => {},
    checkMs = 30_000,
    answerMs = 2_000,
    openDatabase = realPorts.openDatabase,
  }: NotifyGateOptions) {
    this.#logger = logger.child({ part: "gate" });
    this.#onLost = onLost;
    this.#checkMs = checkMs;
    this.#db = openDatabase({
      connectionString,
      applicationName: "hark gate",
      maxConnections: 1,
      deadlineMs: answerMs,
      connectMs: answerMs,
    });
  }

  /** Returns whether producers notify for the queue, as far as is known here. */
  isOpen(queue: string): boolean {
    return this.#queues.get(queue)?.openedAt !== undefined;
  }

  /**
   * For how long the queue has been open, in ms; 0 if it is not. A writer that may not have seen it
   * has been writing for as long.
   */
  openForMs(queue: string): number {
    const openedAt = this.#queues.get(queue)?.openedAt;
    return openedAt === undefined ? 0 : performance.now() - openedAt;
  }

  /**
   * Opens the queue, and returns the transactions that were writing once it was open. Jobs of these
   * and of all earlier transactions must be looked for. Later transactions notify. Throws if the
   * database gives no answer in time: then no queue is open.
   */
  async open(queue: string): Promise<Writers> {
    const client = this.#client ?? (await this.#connected()); // in order with a close() right after this call
    if (this.#queues.has(queue)) {
      const open = await this.#inOrder(client, () => statements.openWriters(client, { among: null }));
      return open.map(({ writer }) => writer);
    }
    const entry: { openedAt: number | undefined } = { openedAt: undefined };
    this.#queues.set(queue, entry);
    const [answer] = await this.#inOrder(client, () => statements.openNotifyGate(client, { queue }));
    entry.openedAt = performance.now();
    return answer?.writers ?? [];
  }

  /**
   * Which of the writers have not ended. What the others wrote is visible to every claim that
   * starts after the answer.
   */
  async stillWriting(writers: Writers): Promise<Writers> {
    if (writers.length === 0) return [];
    const client = await this.#connected();
    const open = await this.#inOrder(client, () => statements.openWriters(client, { among: writers }));
    return open.map(({ writer }) => writer);
  }

  /**
   * Closes the queue, in order with the calls before and after. It is not awaited, so that it holds
   * up no claim.
   */
  close(queue: string): void {
    const client = this.#client;
    if (!this.#queues.delete(queue) || !client) return;
    // If it fails, the session is thrown away, and the lock with it.
    this.#inOrder(client, () => statements.closeNotifyGate(client, { queue })).catch(() => {});
  }

  /**
   * Makes sure that the session still lives: call it when the listener had to connect again. Loses
   * the session if in doubt.
   */
  async check(): Promise<void> {
    const client = this.#client;
    if (!client) return;
    await this.#inOrder(client, () => client.query("select 1")).catch(() => {}); // onLost has been told
  }

  /** Ends the session, which closes every queue. onLost is not called any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#connecting?.catch(() => {});
    this.#drop();
    await orLate(this.#db.close(), 1_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #connected(): Promise<PoolClient> {
    return (this.#connecting ??= this.#connect().catch((error: unknown) => {
      this.#connecting = undefined;
      throw error;
    }));
  }

  async #connect(): Promise<PoolClient> {
    if (this.#isStopped) throw new DatabaseUnreachableError("the gate's connection", new Error("the gate was stopped"));
    const client = await this.#db.pool.connect();
    this.#client = client;
    const lose = (error?: Error) => this.#lose(client, error ?? new Error("the server ended the session"));
    client.on("error", lose);
    client.on("end", lose);
    this.#checking = setInterval(() => {
      if (this.#queues.size > 0) void this.check();
    }, this.#checkMs);
    this.#checking.unref();
    return client;
  }

  /**
   * Runs statements one at a time: pg warns of queries that overlap on a client, and pg 9 will
   * refuse them. Any failure costs the session, because only then is it certain which queues are
   * open: none.
   */
  async #inOrder<Answer>(client: PoolClient, run: () => Promise<Answer>): Promise<Answer> {
    const answer = this.#last.then(() => {
      if (this.#client === client) return run();
      throw new DatabaseUnreachableError("the gate's connection", new Error("the session is lost"));
    });
    this.#last = answer.catch(() => {});
    try {
      return await answer;
    } catch (error) {
      this.#lose(client, error);
      throw error;
    }
  }

  #lose(client: PoolClient, error: unknown): void {
    if (this.#client !== client || this.#isStopped) return;
    this.#logger.warn({ error, queues: [...this.#queues.keys()] }, "the gate's session is lost, opening it again");
    this.#drop();
    this.#onLost();
  }

  #drop(): void {
    clearInterval(this.#checking);
    const client = this.#client;
    this.#client = this.#connecting = undefined;
    this.#queues.clear();
    client?.release(true);
  }
}
