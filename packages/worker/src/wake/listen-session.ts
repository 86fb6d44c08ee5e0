import { randomUUID } from "node:crypto";
import { Socket } from "node:net";
import { HarkError } from "@hark/core";
import { Client, type ClientConfig, type Connection } from "pg";
import pgListen, { type Subscriber } from "pg-listen";

// pg-listen is CommonJS, and its types promise a default export that nodenext does not find (its issue 79).
const createSubscriber = pgListen as unknown as typeof pgListen.default;
if (typeof createSubscriber !== "function")
  throw new TypeError("pg-listen exports no function: Hark needs its version 1.7");

/** How a session that listened, or tried to, ended. "silent": queries are answered, but no notification arrives. */
export type SessionEnd = "refused" | "late" | "cut" | "ended by server" | "silent" | "closed";

export class SessionEndedError extends HarkError {
  readonly end: SessionEnd;

  constructor(end: SessionEnd, message: string, cause?: unknown) {
    super("LISTEN_SESSION_ENDED", { end }, message, { cause });
    this.end = end;
  }
}

export interface SessionOptions {
  readonly connectionString: string;
  readonly applicationName: string;
  readonly channels: readonly string[];
  /** Nobody else's, for the proof by a second session. Begins each payload of ours, so that the session is known by its last query. */
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
 * Heard by all listeners of the database: a notification that arrives, whoever sent it, proves to each of them that its connection
 * lives and LISTEN works, so one of them sends for all (docs/decisions/0017).
 */
const heartbeatChannel = "hark_heartbeat";

/**
 * Whoever has heard nothing for so many times heartbeatMs sends a heartbeat. The least bounds how soon a session is left that answers
 * and hears nothing; by the spread the first one is alone: in the 5 ms that its heartbeat takes to reach the others, one in a hundred
 * of them sends too.
 */
const silence = { least: 2, spread: 0.5 };

/**
 * Sessions of one own channel that are older than the one under $1: predecessors whose connection broke without the server
 * noticing. The random channel in their last query makes them ours, and a process number used anew cannot deceive it. (Its SQL
 * stands here because no other part of Hark speaks to the sessions of the listener.)
 */
const endOlderSessions = `
  with ours as materialized (
    select pid, backend_start from pg_stat_activity where position($2 in query) > 0)
  select pg_terminate_backend(older.pid)
    from ours older join ours mine on mine.pid = $1 and older.backend_start < mine.backend_start`;

/**
 * One attempt to listen: connects, listens, pings itself, and is over at the first doubt. pg-listen has no deadlines, reconnects
 * behind one's back and hides its socket (FM-01, FM-02, FM-14), so each attempt gets a subscriber of its own whose socket is
 * ours: destroying it ends everything, TLS included. pg's promises may stay pending for ever after that, so nothing here is
 * awaited without a deadline and the attempt's own end.
 */
export class ListenSession {
  readonly #options: SessionOptions;
  readonly #over = new AbortController();
  /** The one ping that is out. It resolves with the process number of the backend that sent it. */
  #awaited: { payload: string; arrive: (sender: number) => void } | undefined;
  #subscriber: Subscriber | undefined;
  #socket: Socket | undefined;
  #connection: Connection | undefined;
  /** When the server answered, and when a notification arrived, by performance.now(). */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #heardAt = Number.NEGATIVE_INFINITY;
  /** For how long nothing may be heard from then on before it sends a heartbeat itself, in ms. */
  #silenceMs = 0;
  #isConnected = false;
  /** The backend's process number, from the first echo: pg-listen hides the client that was told it. */
  #backend: number | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Aborted when the attempt is over, with a {@link SessionEndedError}. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether the server may still keep the session: it sees a black hole no better than we do, until its own keepalive. */
  get mayBeLeft(): boolean {
    const why: unknown = this.over.reason;
    return this.#isConnected && why instanceof SessionEndedError && (why.end === "late" || why.end === "cut");
  }

  /** Connects, then listens to each channel, one after the other. Throws {@link SessionEndedError}. */
  async open(): Promise<void> {
    const { connectMs, answerMs, channels, ownChannel } = this.#options;
    await this.#step("connecting", connectMs, () => (this.#subscriber = this.#subscribe()).connect());
    this.#isConnected = true;
    for (const channel of [...channels, heartbeatChannel, ownChannel]) {
      await this.#step("LISTEN", answerMs, () => this.#subscriber?.listenTo(channel));
    }
  }

  /**
   * Rests until a sign of life is due, and asks for one if none came meanwhile: the server's answer after heartbeatMs, a notification
   * after twice that. Call it again and again. Throws {@link SessionEndedError}.
   */
  async beat(): Promise<void> {
    await this.#rest(Math.min(this.#checkAt, this.#pingAt) - performance.now());
    const now = performance.now();
    if (now >= this.#pingAt) await this.ping();
    else if (now >= this.#checkAt) await this.#check();
  }

  /** Sends all listeners a heartbeat; the answer and the echo must be there in time. Throws {@link SessionEndedError}. */
  async ping(): Promise<void> {
    const { answerMs } = this.#options;
    const dueAt = performance.now() + answerMs;
    await this.#expectEcho(async (payload, echo) => {
      await this.#step("a heartbeat", answerMs, () => this.#subscriber?.notify(heartbeatChannel, payload));
      const sender = await within(echo, dueAt - performance.now(), this.over);
      if (sender === "late")
        await this.#endSilent(`a notification did not come back within ${answerMs} ms, but its query was answered`);
      else this.#backend = sender;
    });
    this.over.throwIfAborted();
  }

  /**
   * Has a second session notify this one while it is idle. A session behind a transaction pooler hears its own pings, since they
   * arrive while it holds its backend, and nothing else (measured with PgBouncer 1.18): by pings alone it would pass for healthy
   * (FM-04). With `endOlder` it then ends the sessions that predecessors left, and answers how many.
   * Throws {@link SessionEndedError} if this session hears nothing, and any other error if no second one was to be had in time.
   */
  async probe({ endOlder }: { endOlder: boolean }): Promise<number> {
    const { connectionString, applicationName, ownChannel, answerMs } = this.#options;
    const dueAt = performance.now() + answerMs;
    const inTime = async <Answer>(work: Promise<Answer>): Promise<Answer> => {
      const answer = await within(work, dueAt - performance.now(), this.over);
      if (answer === "late")
        throw new HarkError("PROBE_LATE", { answerMs }, `A second session gave no answer within ${answerMs} ms.`);
      return answer;
    };

    const socket = new Socket();
    const second = new Client({ connectionString, application_name: applicationName, stream: () => socket });
    second.on("error", () => {}); // without it a server that goes away ends the process (FM-06)
    try {
      await inTime(second.connect());
      await this.#expectEcho(async (payload, echo) => {
        // The channel stands in its text, so that endOlderSessions finds this session too if it is left.
        await inTime(second.query(`select pg_notify('${ownChannel}', $1)`, [payload]));
        if ((await within(echo, answerMs, this.over)) === "late") {
          await this.#endSilent(`a notification from another session did not arrive within ${answerMs} ms`);
        }
      });
      this.over.throwIfAborted();
      return endOlder ? (await inTime(second.query(endOlderSessions, [this.#backend, ownChannel]))).rows.length : 0;
    } finally {
      second.end().catch(() => {}); // says goodbye if it can; the socket goes in any case
      socket.destroy();
    }
  }

  /** Ends the attempt. A server that still answers is told goodbye, and waited for up to `ms`. */
  async close(ms: number): Promise<void> {
    const socket = this.#socket;
    if (!socket || !this.#isConnected) return this.#end("closed", "the listener was closed");
    if (this.over.aborted) return;
    const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.#over.abort(new SessionEndedError("closed", "the listener was closed"));
    this.#leave();
    await within(gone, ms, new AbortController().signal);
    socket.destroy();
  }

  get #checkAt(): number {
    return Math.max(this.#answeredAt, this.#heardAt) + this.#options.heartbeatMs;
  }

  get #pingAt(): number {
    return this.#heardAt + this.#silenceMs;
  }

  /** Resolves after `ms`; throws {@link SessionEndedError} as soon as the attempt is over. */
  async #rest(ms: number): Promise<void> {
    await within(new Promise(() => {}), ms, this.over);
  }

  /** A protocol's Sync: unlike any query it is no transaction to the server, which answers it all the same. */
  async #check(): Promise<void> {
    await this.#step("a sign of life", this.#options.answerMs, () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#connection?.once("readyForQuery", resolve);
      this.#connection?.sync();
      return promise;
    });
    this.#answeredAt = performance.now();
  }

  #subscribe(): Subscriber {
    const { connectionString, applicationName } = this.#options;
    // pg-listen hides its client, and with it all but queries. A client that is never used makes the connection for it.
    const { connection } = new Client({ connectionString, keepAlive: true, stream: () => this.#plug() });
    this.#connection = connection;
    const config: ClientConfig & { connection: Connection } = {
      connectionString,
      application_name: applicationName,
      connection,
    };
    const subscriber = createSubscriber(
      // An object, which pg-listen spreads; a string would be torn apart. The deadline is ours: pg's own would also cut off a
      // connection whose answer waits for a busy event loop.
      config,
      // retryLimit is off by one: 1 means never. The default parse raises an error on plain text.
      { retryLimit: 1, paranoidChecking: false, parse: (raw) => raw, serialize: (raw: string) => raw },
    );
    // Without a listener the process ends. pg-listen has lost the server's words by now, but spoken it has: a socket that
    // merely closed would have ended the attempt before.
    subscriber.events.on("error", (error) => this.#end("ended by server", "the server ended the session", error));
    subscriber.events.on("notification", ({ channel, payload, processId }) => this.#hear(channel, payload, processId));
    return subscriber;
  }

  #plug(): Socket {
    if (this.#socket) throw new Error("one socket per session");
    const socket = (this.#socket = new Socket());
    // Ahead of pg's own handlers, so that pg-listen is closed before it thinks of reconnecting.
    socket.on("error", (error) => this.#end(this.#isConnected ? "cut" : "refused", describe(error), error));
    socket.on("close", () => this.#end("cut", "the connection was closed"));
    return socket;
  }

  #hear(channel: string, payload: string | undefined, sender: number): void {
    if (this.over.aborted) return;
    const { ownChannel, heartbeatMs, heard } = this.#options;
    this.#heardAt = performance.now();
    this.#silenceMs = heartbeatMs * (silence.least + silence.spread * Math.random());
    if (channel !== ownChannel && channel !== heartbeatChannel) heard(channel, payload);
    else if (payload !== undefined && payload === this.#awaited?.payload) this.#awaited.arrive(sender);
  }

  async #expectEcho(work: (payload: string, echo: Promise<number>) => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const payload = `${this.#options.ownChannel} ${randomUUID()}`; // nobody can send it before it was heard
    this.#awaited = { payload, arrive: resolve };
    await work(payload, promise);
  }

  async #step(what: string, ms: number, act: () => Promise<unknown> | undefined): Promise<void> {
    this.over.throwIfAborted();
    try {
      const answer = await within(Promise.resolve(act()), ms, this.over);
      if (answer === "late") this.#end("late", `no answer to ${what} within ${ms} ms`);
    } catch (error) {
      this.#end("refused", `${what} failed: ${describe(error)}`, error);
    }
    this.over.throwIfAborted();
  }

  /** A pooler keeps our LISTEN on a backend where nobody hears it: takes it back, as far as the same backend answers. */
  async #endSilent(what: string): Promise<void> {
    await within(Promise.resolve(this.#subscriber?.unlistenAll()), this.#options.answerMs, this.over).catch(() => {});
    this.#end("silent", `LISTEN is silent: ${what}`);
  }

  #end(end: SessionEnd, message: string, cause?: unknown): void {
    if (this.over.aborted) return;
    this.#over.abort(new SessionEndedError(end, message, cause));
    this.#leave();
    this.#socket?.destroy(); // close() alone waits for ever in a black hole
  }

  /** Tells pg-listen never to reconnect, and the server goodbye. */
  #leave(): void {
    try {
      this.#subscriber?.close().catch(() => {});
    } catch {
      // the socket is destroyed in any case
    }
  }
}

/**
 * What `work` answers, or "late" after `ms`; throws the signal's reason once it aborts. Whichever comes first, no timer and no
 * listener is left: racing promises that live as long as the session would grow with each heartbeat.
 */
function within<Answer>(work: Promise<Answer>, ms: number, signal: AbortSignal): Promise<Answer | "late"> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer | "late">();
  const over = () => reject(signal.reason as Error);
  // A turn later: a busy event loop comes to its timers before it reads the answer that has long been there.
  const timer = setTimeout(() => setImmediate(() => resolve("late")), Math.max(ms, 0));
  if (signal.aborted) over();
  else signal.addEventListener("abort", over);
  work.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", over);
  });
}

/** An error in a few words: one that stands for several addresses tried has no message of its own, only a code. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ("code" in error ? String(error.code) : error.name);
}
