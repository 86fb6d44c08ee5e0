import { randomBytes } from "node:crypto";
import { type Channel, channels, HarkError, jitter, type Logger, type Notifications, statements } from "@hark/core";
import { SessionEndedError } from "./listen-session.ts";
import { type Ports, realPorts } from "../ports.ts";
import { sleep } from "../runtime/sleep.ts";

export interface ListenerOptions {
  /** Straight to PostgreSQL, or through a pooler in session mode: behind a transaction pooler LISTEN is silent. */
  readonly connectionString: string;
  readonly applicationName?: string;
  readonly logger: Logger;
  /**
   * Longest time without a sign of life before the server is asked for one, in ms; 1 s if not given. Who has heard nothing for
   * twice that sends a heartbeat, for all listeners of the database: the only statement that an idle listener sends.
   */
  readonly heartbeatMs?: number;
  readonly deadlines?: Partial<ListenerDeadlines>;
  /** Notifications are proven to arrive, after a connect: from now on one may sleep until they do. Must not throw. */
  readonly onListening?: () => void;
  readonly newSession?: Ports["newListenSession"];
}

type Session = ReturnType<Ports["newListenSession"]>;

/**
 * In ms. A black hole is noticed heartbeatMs + answerMs after it opened, at worst; that LISTEN turned silent, 2.5 * heartbeatMs +
 * answerMs after (docs/decisions/0017).
 */
export interface ListenerDeadlines {
  /** To be connected. */
  connectMs: number;
  /** For each answer, and for each notification to come back. */
  answerMs: number;
  /** For the server to take our goodbye, when the listener is closed. */
  closeMs: number;
  /** Between two tries while LISTEN is silent, about: that is how somebody set it up, and lasts. */
  silentMs: number;
}

/** From reliability.md, section 4.3 and FM-01; measured with them: a black hole is survived in 1.1 to 2.1 s. */
const defaultDeadlines: ListenerDeadlines = { connectMs: 3_000, answerMs: 1_000, closeMs: 200, silentMs: 30_000 };

/** "polling": the database answers, but LISTEN is silent, so jobs start by the poll; it keeps trying. */
export type ListenerState = "connecting" | "listening" | "polling" | "closed";

/** Since the listener was made. */
export interface ListenerCounts {
  /** Sessions that came to listen, each announced as "you may have missed something". */
  readonly connects: number;
  /** Sessions lost, and attempts that came to nothing. */
  readonly failures: number;
  /** Notifications passed on. */
  readonly heard: number;
  /** Notifications that nobody of ours sends: another channel, or a payload of another shape. */
  readonly ignored: number;
  /** Callbacks that threw. */
  readonly thrown: number;
  /** Sessions of our own that the server still kept after we had lost them, and that were ended. */
  readonly leftovers: number;
}

/** What the senders in core write: a queue with what readJobReady reads, a moment in epoch ms, a job's id, a lock's hash, a name. */
const payloadShapes: Record<Channel, RegExp> = {
  [channels.jobReady]: /^[a-z0-9][a-z0-9_.:-]{0,62}( [!-~]{1,20}){0,4}$/,
  [channels.jobScheduled]: /^-?\d{1,19}$/,
  [channels.jobCancelled]: /^\d{1,19}$/,
  [channels.lockReleased]: /^-?\d{1,19}$/,
  [channels.scheduleChanged]: /^[a-z0-9][a-z0-9_.:-]{0,62}$/,
};

/** An outage this old is no blip: its attempts become rare. In ms. */
const blipMs = 60_000;
/** When no second session could be had to prove that LISTEN works, in ms until the next try. */
const proveAgainMs = 10_000;
/** Least time between two log lines of a kind, in ms (FM-09). */
const quietMs = 1_000;

/**
 * Hears the database's notifications and wakes whom they concern. It holds the worker's only session with state, so it keeps
 * that session under suspicion: connect, LISTEN, tell everybody that they may have missed something, then a sign of life a
 * second. At any doubt it throws the session away and opens the next, for ever (FM-01 to FM-04). Notifications are hints: while it is
 * deaf the polls find every job, so nothing is ever thrown out of here.
 */
export class Listener implements Notifications, AsyncDisposable {
  readonly #options: Omit<ListenerOptions, "deadlines">;
  readonly #deadlines: ListenerDeadlines;
  readonly #logger: Logger;
  readonly #heartbeatMs: number;
  readonly #subscriptions = new Map<string, Set<{ heard: (payload: string | undefined) => void }>>();
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #ownChannel = `hark_listener_${randomBytes(8).toString("hex")}`;
  readonly #counts = { connects: 0, failures: 0, heard: 0, ignored: 0, thrown: 0, leftovers: 0 };
  readonly #loggedAt = new Map<string, number>();
  #state: ListenerState = "connecting";
  #reason: string | undefined = "not connected yet";
  #session: Session | undefined;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #attempts = 0;
  #silences = 0;
  #toldSilence = false;
  /** Whether a second session must still prove that this URL delivers notifications, and when to ask it at the earliest. */
  #mustProve = true;
  #proveAt = 0;
  #mayHaveLeft = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ part: "listener" });
    this.#heartbeatMs = options.heartbeatMs ?? 1_000;
    this.#deadlines = { ...defaultDeadlines, ...options.deadlines };
  }

  get state(): ListenerState {
    return this.#state;
  }

  /** Why it is not listening, for people; undefined while it is. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get counts(): ListenerCounts {
    return { ...this.#counts };
  }

  /** Attempts to connect since it last listened; 0 while it does. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Returns at once; connects in the background, for ever. */
  start(): void {
    if (!this.#closing.signal.aborted) this.#running ??= this.#run();
  }

  /** Resolves once notifications are proven to arrive. Rejects with the signal's reason, or when the listener is closed. */
  whenListening(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (signal?.aborted) reject(signal.reason as Error);
        else if (this.#state === "listening") resolve();
        else if (this.#state === "closed") {
          reject(
            new HarkError(
              "LISTENER_CLOSED",
              {},
              "The listener was closed before it listened. Make a new one to listen again.",
            ),
          );
        } else return;
        this.#waiting.delete(look);
        signal?.removeEventListener("abort", look);
      };
      this.#waiting.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }

  on(channel: Channel, heard: (payload: string | undefined) => void): () => void {
    const subscription = { heard };
    const subscriptions = this.#subscriptions.get(channel) ?? new Set();
    this.#subscriptions.set(channel, subscriptions.add(subscription));
    return () => void subscriptions.delete(subscription);
  }

  /** Ends whatever is under way, at any moment. Leaves no session, timer or socket; waits no longer than closeMs for the server. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#become("closed", "closed");
    await this.#session?.close(this.#deadlines.closeMs);
    await this.#running;
  }

  async #run(): Promise<void> {
    let downSince = performance.now();
    let restMs = 0;
    while (!this.#closing.signal.aborted) {
      this.#attempts += 1;
      const ended = await this.#attempt();
      if (this.#closing.signal.aborted) return;

      if (this.#attempts === 0) downSince = performance.now(); // it had listened
      this.#counts.failures += 1;
      restMs = this.#lose(ended) ? jitter(this.#deadlines.silentMs) : restAfter(performance.now() - downSince, restMs);
      await sleep(restMs, { signal: this.#closing.signal });
    }
  }

  /** Listens until the session is over, and answers why it is. */
  async #attempt(): Promise<Error> {
    const {
      connectionString,
      applicationName = statements.listenerName,
      newSession = realPorts.newListenSession,
    } = this.#options;
    const session = (this.#session = newSession({
      connectionString,
      applicationName,
      channels: Object.values(channels),
      ownChannel: this.#ownChannel,
      heartbeatMs: this.#heartbeatMs,
      ...this.#deadlines,
      heard: (channel, payload) => this.#hear(channel, payload),
    }));
    try {
      await session.open();
      this.#counts.connects += 1;
      this.#announce();
      await session.ping();
      for (;;) {
        if (await this.#prove(session)) this.#listens();
        await session.beat();
      }
    } catch (error) {
      await session.close(0);
      this.#mayHaveLeft ||= session.mayBeLeft;
      return error as Error;
    }
  }

  /** Makes sure, once and whenever an older session may be left, that notifications come through. Answers false if in doubt. */
  async #prove(session: Session): Promise<boolean> {
    if (!(this.#mustProve || this.#mayHaveLeft) || performance.now() < this.#proveAt) return true;
    try {
      this.#counts.leftovers += await session.probe({ endOlder: this.#mayHaveLeft });
      this.#mustProve = this.#mayHaveLeft = false;
      return true;
    } catch (error) {
      if (error instanceof SessionEndedError) throw error;
      // No second session to be had, as when the server is full. The first one may well be fine, so go on without a proof.
      this.#proveAt = performance.now() + proveAgainMs;
      this.#log("warn", "unproven", { error }, "could not prove that notifications arrive, will try again");
      return false;
    }
  }

  #listens(): void {
    if (this.#state === "listening") return;
    this.#log("info", "listening", { attempts: this.#attempts }, "listening");
    this.#attempts = this.#silences = 0;
    this.#toldSilence = false;
    this.#become("listening", undefined);
    this.#options.onListening?.();
  }

  /** Notes that a session ended. Answers whether LISTEN is silent, so that there is no hurry. */
  #lose(why: Error): boolean {
    const end = why instanceof SessionEndedError ? why.end : "bug";
    // A black hole that opens between an answer and its echo looks silent, once.
    this.#silences = end === "silent" ? this.#silences + 1 : 0;
    if (this.#silences >= 2) {
      this.#become(
        "polling",
        `${why.message}, as behind a transaction pooler: set HARK_LISTEN_URL to a direct connection`,
      );
      if (!this.#toldSilence) {
        const advice =
          "LISTEN is silent, so jobs start by the poll: set HARK_LISTEN_URL to a direct connection to PostgreSQL, past the transaction pooler";
        this.#log("warn", "deaf", { reason: why.message }, advice);
      }
      this.#toldSilence = true;
      return true;
    }
    this.#log("warn", end, { reason: why.message, attempts: this.#attempts }, "not listening, will try again");
    this.#become("connecting", why.message);
    return false;
  }

  #become(state: ListenerState, reason: string | undefined): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#reason = reason;
    for (const look of this.#waiting) look();
  }

  #announce(): void {
    for (const subscriptions of this.#subscriptions.values()) this.#tell(subscriptions, undefined);
  }

  #hear(channel: string, payload: string | undefined): void {
    if (this.#closing.signal.aborted) return;
    const subscriptions = this.#subscriptions.get(channel);
    if (payload === undefined || !payloadShapes[channel as Channel]?.test(payload)) {
      this.#counts.ignored += 1; // anyone may send anything
      return;
    }
    this.#counts.heard += 1;
    if (subscriptions) this.#tell(subscriptions, payload);
  }

  #tell(subscriptions: Set<{ heard: (payload: string | undefined) => void }>, payload: string | undefined): void {
    const now = [...subscriptions]; // a callback may subscribe, and would hear this one too
    for (const { heard } of now) {
      try {
        heard(payload);
      } catch (error) {
        // Thrown on, it would reach pg's socket handler and end the process.
        this.#counts.thrown += 1;
        this.#log("error", "thrown", { error }, "a callback for notifications threw");
      }
    }
  }

  #log(level: "info" | "warn" | "error", kind: string, facts: object, message: string): void {
    const now = performance.now();
    if (now - (this.#loggedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
    this.#loggedAt.set(kind, now);
    try {
      this.#logger[level](facts, message);
    } catch {
      // a logger that throws must not make the worker deaf
    }
  }
}

/**
 * How long to rest before the next attempt, in ms: 50 to 450 in an outage's first minute, then up to three times the last rest
 * (decorrelated jitter), at most 5 s, so that the listeners of many workers do not come back at once (FM-01).
 */
export function restAfter(outageMs: number, lastRestMs: number, random: () => number = Math.random): number {
  if (outageMs < blipMs) return 50 + 400 * random();
  return Math.min(5_000, 450 + Math.max(lastRestMs * 3 - 450, 0) * random());
}
