import { type Database, DatabaseUnreachableError, type Logger } from "@hark/core";
import { type Login, orLate } from "@hark/core/internal";
import { type Ports, realPorts } from "../ports.ts";
import { GateSession } from "./gate-session.ts";
import { type Writers, WriterWatch } from "./writer-watch.ts";

/**
 * The URL leads to PostgreSQL directly, or through a pooler in session mode, because the locks
 * belong to one session.
 */
export interface NotifyGateOptions extends Readonly<Login> {
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
  readonly #queues = new Map<string, { isOpen: boolean }>();
  readonly #watch = new WriterWatch((writers) => this.stillWriting(writers));
  #connecting: Promise<GateSession> | undefined;
  #session: GateSession | undefined;
  #checking: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor({
    connectionString,
    password,
    logger,
    onLost = () => {},
    checkMs = 300_000,
    answerMs = 2_000,
    openDatabase = realPorts.openDatabase,
  }: NotifyGateOptions) {
    this.#logger = logger.child({ part: "gate" });
    this.#onLost = onLost;
    this.#checkMs = checkMs;
    this.#db = openDatabase({
      connectionString,
      password,
      applicationName: "hark gate",
      maxConnections: 1,
      deadlineMs: answerMs,
      connectMs: answerMs,
    });
  }

  /** Returns whether producers notify for the queue, as far as is known here. */
  isOpen(queue: string): boolean {
    return this.#queues.get(queue)?.isOpen ?? false;
  }

  /**
   * Opens the queue, and returns the transactions that were writing once it was open. Jobs of these
   * and of all earlier transactions must be looked for. Later transactions notify. Throws if the
   * database gives no answer in time: then no queue is open.
   */
  async open(queue: string): Promise<Writers> {
    const session = this.#session ?? (await this.#connected()); // in order with a close() right after this call
    if (this.#queues.has(queue)) return session.writers(null);
    const entry = { isOpen: false };
    this.#queues.set(queue, entry);
    const writers = await session.open(queue);
    entry.isOpen = true;
    return writers;
  }

  /**
   * Which of the writers have not ended. What the others wrote is visible to every claim that
   * starts after the answer.
   */
  async stillWriting(writers: Writers): Promise<Writers> {
    return writers.length === 0 ? [] : (await this.#connected()).writers(writers);
  }

  /** Waits until some of the writers have ended: see {@link WriterWatch.someEnded}. */
  someEnded(writers: Writers, since: number): ReturnType<WriterWatch["someEnded"]> {
    return this.#watch.someEnded(writers, since);
  }

  /**
   * Closes the queue, in order with the calls before and after. It is not awaited, so that it holds
   * up no claim.
   */
  close(queue: string): void {
    const session = this.#session;
    if (!this.#queues.delete(queue) || !session) return;
    // If it fails, the session is thrown away, and the lock with it.
    session.close(queue).catch(() => {});
  }

  /**
   * Makes sure that the session still lives: call it when the listener had to connect again. Loses
   * the session if in doubt.
   */
  async check(): Promise<void> {
    await this.#session?.check().catch(() => {}); // onLost has been told
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

  #connected(): Promise<GateSession> {
    return (this.#connecting ??= this.#connect().catch((error: unknown) => {
      this.#connecting = undefined;
      throw error;
    }));
  }

  async #connect(): Promise<GateSession> {
    if (this.#isStopped) throw new DatabaseUnreachableError("the gate's connection", new Error("the gate was stopped"));
    const session = new GateSession(await this.#db.pool.connect(), (error) => this.#lose(error));
    this.#session = session;
    this.#checking = setInterval(() => {
      if (this.#queues.size > 0) void this.check();
    }, this.#checkMs);
    this.#checking.unref();
    return session;
  }

  #lose(error: unknown): void {
    if (this.#isStopped) return;
    this.#logger.warn({ error, queues: this.#queues.size }, "the gate's session is lost, opening it again");
    this.#drop();
    this.#onLost();
  }

  #drop(): void {
    clearInterval(this.#checking);
    const session = this.#session;
    this.#session = this.#connecting = undefined;
    this.#queues.clear();
    session?.end();
  }
}
