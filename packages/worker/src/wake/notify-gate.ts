import { type Database, DatabaseUnreachableError, type Logger, orLate, statements } from "@hark/core";
import type { PoolClient } from "pg";
import { type Ports, realPorts } from "../ports.ts";

export interface NotifyGateOptions {
  /** Straight to PostgreSQL, or through a pooler in session mode: the marks live in one session. */
  readonly connectionString: string;
  readonly logger: Logger;
  /** The session is gone, and the marks with it: who sleeps must look again, and arm again before it sleeps. Must not throw. */
  readonly onLost?: () => void;
  /** From one check of an armed session to the next, in ms. */
  readonly checkMs?: number;
  /** For each answer, and to be connected, in ms: who would fall asleep looks for no jobs meanwhile. */
  readonly answerMs?: number;
  readonly openDatabase?: Ports["openDatabase"];
}

/** Transactions that wrote to the table of waiting jobs when a queue was armed, and may not have seen its mark. */
export type Writers = readonly string[];

/**
 * Tells producers that this process sleeps on a queue, so that they notify; while nobody does, their commits cost no more than
 * without a trigger. A mark is a session's advisory lock: it dies with its owner. Going to sleep takes five steps, and leaving
 * one out loses wake-ups (docs/decisions/0006): listen; arm; claim; while some of the writers are still open, look which, then
 * claim; sleep. Only arm while the listener is "listening": behind a transaction pooler marks would stay on the sessions of others.
 */
export class NotifyGate implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #onLost: () => void;
  readonly #checkMs: number;
  readonly #db: Database;
  /** By queue. Each belongs to one call of arm(), so that an answer which comes late counts for no later mark. */
  readonly #marks = new Map<string, { setAt: number | undefined }>();
  /** Resolves when the last question has its answer. */
  #last: Promise<unknown> = Promise.resolve();
  #opening: Promise<PoolClient> | undefined;
  #client: PoolClient | undefined;
  #checking: NodeJS.Timeout | undefined;
  #isClosed = false;

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

  /** Whether producers see that this process sleeps on the queue, as far as is known here. */
  isArmed(queue: string): boolean {
    return this.#marks.get(queue)?.setAt !== undefined;
  }

  /** For how long it has been, in ms; 0 if it is not. Whoever may not have seen the mark has been writing for as long. */
  armedForMs(queue: string): number {
    const setAt = this.#marks.get(queue)?.setAt;
    return setAt === undefined ? 0 : performance.now() - setAt;
  }

  /**
   * Marks the queue, and answers the writers that were open once the mark was set. Whatever they and all earlier ones committed
   * must be looked for; later ones notify. Throws if the database gives no answer in time: then nothing is armed.
   */
  async arm(queue: string): Promise<Writers> {
    const client = this.#client ?? (await this.#open()); // in order with a disarm() right after this call
    if (this.#marks.has(queue)) {
      const open = await this.#ask(client, () => statements.openWriters(client, { among: null }));
      return open.map(({ writer }) => writer);
    }
    const mark: { setAt: number | undefined } = { setAt: undefined };
    this.#marks.set(queue, mark);
    const [answer] = await this.#ask(client, () => statements.armGate(client, { queue }));
    mark.setAt = performance.now();
    return answer?.writers ?? [];
  }

  /** Which of the writers are still open. What the others wrote is visible to every claim that starts after the answer. */
  async stillOpen(writers: Writers): Promise<Writers> {
    if (writers.length === 0) return [];
    const client = await this.#open();
    const open = await this.#ask(client, () => statements.openWriters(client, { among: writers }));
    return open.map(({ writer }) => writer);
  }

  /** Takes the mark away, in order with the calls before and after; not awaited, so that it holds up no claim. */
  disarm(queue: string): void {
    const client = this.#client;
    if (!this.#marks.delete(queue) || !client) return;
    this.#ask(client, () => statements.disarmGate(client, { queue })).catch(() => {}); // the session was thrown away, and the mark with it
  }

  /** Makes sure that the marks still stand: ask it whenever the listener had to connect anew. Loses the session if in doubt. */
  async check(): Promise<void> {
    const client = this.#client;
    if (!client) return;
    await this.#ask(client, () => client.query("select 1")).catch(() => {}); // told to whom it concerns
  }

  /** Ends the session, and with it all marks. Nothing is told to onLost any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => {});
    this.#drop();
    await orLate(this.#db.close(), 1_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Promise<PoolClient> {
    return (this.#opening ??= this.#connect().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    }));
  }

  async #connect(): Promise<PoolClient> {
    if (this.#isClosed) throw new DatabaseUnreachableError("the gate's connection", new Error("the gate was closed"));
    const client = await this.#db.pool.connect();
    this.#client = client;
    const lose = (error?: Error) => this.#lose(client, error ?? new Error("the server ended the session"));
    client.on("error", lose);
    client.on("end", lose);
    this.#checking = setInterval(() => {
      if (this.#marks.size > 0) void this.check();
    }, this.#checkMs);
    this.#checking.unref();
    return client;
  }

  /**
   * Asks in order, one question at a time: pg warns of queries that overlap on a client, and pg 9 will refuse them. Any failure
   * costs the session: only then is it sure which marks stand, which is none.
   */
  async #ask<Answer>(client: PoolClient, question: () => Promise<Answer>): Promise<Answer> {
    const answer = this.#last.then(() => {
      if (this.#client === client) return question();
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
    if (this.#client !== client || this.#isClosed) return;
    this.#logger.warn({ error, queues: [...this.#marks.keys()] }, "the session with the marks is lost, arming anew");
    this.#drop();
    this.#onLost();
  }

  #drop(): void {
    clearInterval(this.#checking);
    const client = this.#client;
    this.#client = this.#opening = undefined;
    this.#marks.clear();
    client?.release(true);
  }
}
