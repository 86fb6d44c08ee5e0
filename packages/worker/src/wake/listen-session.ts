import { randomUUID } from "node:crypto";
import { HarkError } from "@hark/core";
import { isStartupRefused, type Login, orLate, withDeadline } from "@hark/core/internal";
import { ListenSocket } from "./listen-socket.ts";
import { SecondSession } from "./second-session.ts";

/**
 * How a session ended. "silent": queries are answered, but no notification arrives. "flooded": so
 * many arrive that to read them would cost more than to look by the poll.
 */
export type SessionEnd = "refused" | "late" | "cut" | "ended by server" | "silent" | "flooded" | "closed";

export class SessionEndedError extends HarkError {
  readonly end: SessionEnd;

  constructor(end: SessionEnd, message: string, cause?: unknown) {
    super("LISTEN_SESSION_ENDED", { end }, message, { cause });
    this.end = end;
  }
}

export interface SessionOptions extends Readonly<Login> {
  /** Sets nothing for the session, since the last one was refused for it. */
  readonly isPlain?: boolean;
  /** The other end refused the session, perhaps for what it asked to set. */
  readonly refusedAtStart?: () => void;
  readonly applicationName: string;
  readonly channels: readonly string[];
  /**
   * A channel of this listener alone, on which a second session proves that notifications arrive.
   * Each payload of ours begins with it, so that the session can be recognized by its last query.
   */
  readonly ownChannel: string;
  /** Longest time without a sign of life before the server is asked for one, in ms. */
  readonly heartbeatMs: number;
  /** Longest wait for a connection, TLS and password included, in ms. */
  readonly connectMs: number;
  /** Longest wait for each answer and each echo, in ms. */
  readonly answerMs: number;
  /** Must not throw: it is called inside pg's socket handler. */
  readonly heard: (channel: string, payload: string | undefined) => void;
}

/**
 * Every listener of the database hears this channel. A notification that arrives, from any sender,
 * proves to each of them that its connection lives and LISTEN works. So one listener sends for all
 * (docs/decisions/0017).
 */
const heartbeatChannel = "hark_heartbeat";

/**
 * A listener that has heard nothing for this many times heartbeatMs sends a heartbeat. It costs
 * each listener a transaction, and finds only a session that gets answers and hears nothing, which
 * is rare: the poll finds it too, by a job that was not announced. With `spread` the first sender
 * is mostly alone: in the 5 ms that its heartbeat takes to reach the others, one in a thousand of
 * them sends too.
 */
const silence = { least: 20, spread: 5 };

/**
 * More notifications than this within so many ms are a flood: anyone may send them. Each costs the
 * process some 10 us. Producers of Hark send one for a queue and statement, and only while a worker
 * sleeps.
 */
const flood = { most: 2_000, withinMs: 100 };

/**
 * One attempt to listen: it connects, listens, checks that it is alive, and ends at the first
 * doubt. pg's promises may stay pending for ever after the socket is destroyed, so every wait has a
 * deadline and ends with the attempt.
 */
export class ListenSession {
  readonly #options: SessionOptions;
  readonly #socket: ListenSocket;
  readonly #over = new AbortController();
  /** The echo that is awaited. Resolves with the process number of the backend that sent it. */
  #awaited: { payload: string; arrive: (sender: number) => void } | undefined;
  /** When the server answered, and when a notification arrived, by performance.now(). */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #heardAt = Number.NEGATIVE_INFINITY;
  /** How long after the last notification this session sends a heartbeat itself, in ms. */
  #silenceMs = 0;
  /** Notifications heard since then. */
  #counted = { heard: 0, sinceMs: 0 };
  #isConnected = false;
  /**
   * The backend's process number, from the first echo: pg-listen hides the client that knows it.
   */
  #backend: number | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { connectionString, password, isPlain = false, applicationName } = options;
    this.#socket = new ListenSocket({
      connectionString,
      password,
      isPlain,
      applicationName,
      onError: (error) => this.#end(this.#isConnected ? "cut" : "refused", describe(error), error),
      onClose: () => this.#end("cut", "the connection was closed"),
      onEndedByServer: (error) => this.#end("ended by server", "the server ended the session", error),
      onNotification: (channel, payload, sender) => this.#hear(channel, payload, sender),
    });
  }

  /** Aborted when the attempt is over, with a {@link SessionEndedError}. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /**
   * Whether the server may still keep the session: it notices a black hole only by its own
   * keepalive.
   */
  get mayBeLeft(): boolean {
    const why: unknown = this.over.reason;
    return this.#isConnected && why instanceof SessionEndedError && (why.end === "late" || why.end === "cut");
  }

  /**
   * Connects, then listens to each channel, one after the other. Throws {@link SessionEndedError}.
   */
  async open(): Promise<void> {
    const { connectMs, answerMs, channels, ownChannel } = this.#options;
    await this.#step("connecting", connectMs, () => this.#socket.connect());
    this.#isConnected = true;
    for (const channel of [...channels, heartbeatChannel, ownChannel]) {
      await this.#step("LISTEN", answerMs, () => this.#socket.listenTo(channel));
    }
  }

  /**
   * Rests until a sign of life is due, and asks for one if none came meanwhile: for an answer of
   * the server after heartbeatMs, for a notification after much longer. Call it again and again.
   * Throws {@link SessionEndedError}.
   */
  async beat(): Promise<void> {
    await this.#rest(Math.min(this.#checkAt, this.#pingAt) - performance.now());
    const now = performance.now();
    if (now >= this.#pingAt) await this.ping();
    else if (now >= this.#checkAt) await this.#check();
  }

  /**
   * Sends all listeners a heartbeat; the answer and the echo must be there in time. Throws
   * {@link SessionEndedError}.
   */
  async ping(): Promise<void> {
    const { answerMs } = this.#options;
    const dueAt = performance.now() + answerMs;
    await this.#expectEcho(async (payload, echo) => {
      await this.#step("a heartbeat", answerMs, () => this.#socket.notify(heartbeatChannel, payload));
      const sender = await withDeadline(echo, dueAt - performance.now(), this.over);
      if (sender === "late")
        await this.#endSilent(`a notification did not come back within ${answerMs} ms, but its query was answered`);
      else this.#backend = sender;
    });
    this.over.throwIfAborted();
  }

  /**
   * Has a second session notify this one while it is idle. Behind a transaction pooler, a session
   * hears only its own pings, because they arrive while it holds its backend (measured with
   * PgBouncer 1.18). So pings alone would make it look healthy (FM-04). With `endOlder`, the second
   * session then ends older sessions of this listener, and returns how many. Throws {@link
   * SessionEndedError} if this session hears nothing, and any other error if it could not open a
   * second one in time.
   */
  async probe({ endOlder }: { endOlder: boolean }): Promise<number> {
    const { answerMs } = this.#options;
    const second = new SecondSession({ ...this.#options, over: this.over });
    try {
      await second.connect();
      await this.#expectEcho(async (payload, echo) => {
        await second.notify(payload);
        if ((await withDeadline(echo, answerMs, this.over)) === "late") {
          await this.#endSilent(`a notification from another session did not arrive within ${answerMs} ms`);
        }
      });
      this.over.throwIfAborted();
      return endOlder ? await second.endOlderThan(this.#backend) : 0;
    } finally {
      second.close();
    }
  }

  /**
   * Ends the attempt. If the server still answers, closes the session properly, and waits for that
   * up to `ms`.
   */
  async close(ms: number): Promise<void> {
    if (!this.#isConnected) return this.#end("closed", "the listener was closed");
    if (this.over.aborted) return;
    this.#over.abort(new SessionEndedError("closed", "the listener was closed"));
    this.#socket.leave();
    await orLate(this.#socket.closed, ms);
    this.#socket.destroy();
  }

  get #checkAt(): number {
    return Math.max(this.#answeredAt, this.#heardAt) + this.#options.heartbeatMs;
  }

  get #pingAt(): number {
    return this.#heardAt + this.#silenceMs;
  }

  /** Resolves after `ms`; throws {@link SessionEndedError} as soon as the attempt is over. */
  async #rest(ms: number): Promise<void> {
    await withDeadline(new Promise(() => {}), ms, this.over);
  }

  async #check(): Promise<void> {
    await this.#step("a sign of life", this.#options.answerMs, () => this.#socket.sync());
    this.#answeredAt = performance.now();
  }

  #hear(channel: string, payload: string | undefined, sender: number): void {
    if (this.over.aborted) return;
    const { ownChannel, heartbeatMs, heard } = this.#options;
    this.#heardAt = performance.now();
    if (this.#isFlooded()) return this.#end("flooded", `more than ${flood.most} notifications in ${flood.withinMs} ms`);
    this.#silenceMs = heartbeatMs * (silence.least + silence.spread * Math.random());
    if (channel !== ownChannel && channel !== heartbeatChannel) heard(channel, payload);
    else if (payload !== undefined && payload === this.#awaited?.payload) this.#awaited.arrive(sender);
  }

  /** Counts a notification. Returns whether there are too many. */
  #isFlooded(): boolean {
    const counted = this.#counted;
    if (this.#heardAt - counted.sinceMs > flood.withinMs) {
      counted.sinceMs = this.#heardAt;
      counted.heard = 0;
    }
    counted.heard += 1;
    return counted.heard > flood.most;
  }

  async #expectEcho(work: (payload: string, echo: Promise<number>) => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const payload = `${this.#options.ownChannel} ${randomUUID()}`; // random, so no one can forge it
    this.#awaited = { payload, arrive: resolve };
    await work(payload, promise);
  }

  async #step(what: string, ms: number, act: () => Promise<unknown> | undefined): Promise<void> {
    this.over.throwIfAborted();
    try {
      const answer = await withDeadline(Promise.resolve(act()), ms, this.over);
      if (answer === "late") this.#end("late", `no answer to ${what} within ${ms} ms`);
    } catch (error) {
      this.#end("refused", `${what} failed: ${describe(error)}`, error);
    }
    this.over.throwIfAborted();
  }

  /**
   * A pooler keeps this session's LISTEN on a backend of its own. This undoes it, if the same
   * backend answers.
   */
  async #endSilent(what: string): Promise<void> {
    const { answerMs } = this.#options;
    await withDeadline(Promise.resolve(this.#socket.unlistenAll()), answerMs, this.over).catch(() => {});
    this.#end("silent", `LISTEN is silent: ${what}`);
  }

  #end(end: SessionEnd, message: string, cause?: unknown): void {
    if (this.over.aborted) return;
    if (!this.#isConnected && isStartupRefused(cause)) this.#options.refusedAtStart?.();
    this.#over.abort(new SessionEndedError(end, message, cause));
    this.#socket.leave();
    this.#socket.destroy();
  }
}

/**
 * Returns an error in a few words. An error for several addresses has no message of its own, only a
 * code.
 */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ("code" in error ? String(error.code) : error.name);
}
