import { randomBytes } from "node:crypto";
import { type Channel, HarkError, type Logger, type Notifications } from "@hark/core";
import { channels, type Login, statements } from "@hark/core/internal";
import { type Ports, realPorts } from "../ports.ts";
import { RateLimitedLog } from "./rate-limited-log.ts";
import { defaultDeadlines, type ListenerDeadlines, Reconnect } from "./reconnect.ts";

/**
 * The URL leads to PostgreSQL directly, or through a pooler in session mode. LISTEN does not work
 * through a transaction pooler.
 */
export interface ListenerOptions extends Readonly<Login> {
  readonly applicationName?: string;
  readonly logger: Logger;
  /**
   * Longest time without a sign of life before the server is asked for one, in ms. Default: 1 s. A
   * listener that has heard nothing for twenty times that sends a heartbeat, for all listeners of
   * the database. Idle listeners send no other statement.
   */
  readonly heartbeatMs?: number;
  readonly deadlines?: Partial<ListenerDeadlines>;
  /**
   * Called after a connect, once notifications are proven to arrive. From then on a worker may
   * sleep until one comes. Must not throw.
   */
  readonly onListening?: () => void;
  readonly newSession?: Ports["newListenSession"];
}

/**
 * "polling": the database answers, but no notifications arrive, so only the poll finds jobs. The
 * listener keeps trying.
 */
export type ListenerState = "connecting" | "listening" | "polling" | "closed";

/** Counts since the listener was made. */
export interface ListenerCounts {
  /**
   * Sessions that listened. After each, subscribers were told that they may have missed
   * notifications.
   */
  readonly connects: number;
  /** Lost sessions and failed attempts. */
  readonly failures: number;
  /** Notifications passed on. */
  readonly heard: number;
  /** Notifications that Hark does not send: another channel, or a payload of another shape. */
  readonly ignored: number;
  /** Callbacks that threw. */
  readonly thrown: number;
  /** Lost sessions of this listener that the server still kept, and that were ended. */
  readonly leftovers: number;
}

/**
 * What the senders in core write: a queue with what readJobReady reads, a moment in epoch ms, a
 * job's id, a lock's hash, a name.
 */
const payloadShapes: Record<Channel, RegExp> = {
  [channels.jobReady]: /^[a-z0-9][a-z0-9_.:-]{0,62}( [!-~]{1,20}){0,4}$/,
  [channels.jobScheduled]: /^-?\d{1,19}$/,
  [channels.jobCancelled]: /^\d{1,19}$/,
  [channels.keyWaits]: /^[a-z0-9][a-z0-9_.:-]{0,62}$/,
  [channels.lockReleased]: /^-?\d{1,19}$/,
  [channels.scheduleChanged]: /^[a-z0-9][a-z0-9_.:-]{0,62}$/,
};

/**
 * Hears the database's notifications and passes each to the subscribers of its channel. {@link
 * Reconnect} keeps a session open; after each connect all subscribers are told that they may have
 * missed something. Notifications are only hints. Without them the polls find every job, so the
 * listener never throws.
 */
export class Listener implements Notifications, AsyncDisposable {
  readonly #onListening: (() => void) | undefined;
  readonly #log: RateLimitedLog;
  readonly #reconnect: Reconnect;
  readonly #subscriptions = new Map<string, Set<{ heard: (payload: string | undefined) => void }>>();
  /** Called after each change of state. */
  readonly #waiting = new Set<() => void>();
  readonly #counts = { connects: 0, heard: 0, ignored: 0, thrown: 0 };
  #state: ListenerState = "connecting";
  #reason: string | undefined = "not connected yet";
  #closed: Promise<void> | undefined;

  constructor(options: ListenerOptions) {
    const { newSession = realPorts.newListenSession } = options;
    const deadlines = { ...defaultDeadlines, ...options.deadlines };
    let isPlain = false;
    const session = {
      connectionString: options.connectionString,
      password: options.password,
      // Each refusal may be for something else, so the other way is tried next (FM-80).
      refusedAtStart: () => (isPlain = !isPlain),
      applicationName: options.applicationName ?? statements.listenerName,
      channels: Object.values(channels),
      ownChannel: `hark_listener_${randomBytes(8).toString("hex")}`,
      heartbeatMs: options.heartbeatMs ?? 1_000,
      ...deadlines,
      heard: (channel: string, payload: string | undefined) => this.#hear(channel, payload),
    };
    this.#onListening = options.onListening;
    this.#log = new RateLimitedLog(options.logger.child({ part: "listener" }));
    this.#reconnect = new Reconnect({
      newSession: () => newSession({ ...session, isPlain }),
      deadlines,
      log: this.#log,
      onConnected: () => this.#connected(),
      onMissing: () => this.#announce(),
      onListening: () => this.#listens(),
      onLost: (state, reason) => this.#become(state, reason),
    });
  }

  get state(): ListenerState {
    return this.#state;
  }

  /** Why it is not listening, for people. Undefined while it listens. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get counts(): ListenerCounts {
    const { failures, leftovers } = this.#reconnect;
    return { ...this.#counts, failures, leftovers };
  }

  /** Attempts to connect since it last listened. 0 while it listens. */
  get attempts(): number {
    return this.#reconnect.attempts;
  }

  /** Returns at once; connects in the background, for ever. */
  start(): void {
    this.#reconnect.start();
  }

  /**
   * Resolves once notifications are proven to arrive. Rejects with the signal's reason, or when the
   * listener is closed.
   */
  whenListening(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (signal?.aborted) reject(signal.reason as Error);
        else if (this.#state === "listening") resolve();
        else if (this.#state === "closed") reject(closedError());
        else return;
        this.#waiting.delete(look);
        signal?.removeEventListener("abort", look);
      };
      this.#waiting.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }

  /**
   * A notification did not come that should have. Within about a second, a second session proves
   * that notifications arrive, or the session is left.
   */
  doubt(): void {
    this.#reconnect.doubt();
  }

  on(channel: Channel, heard: (payload: string | undefined) => void): () => void {
    const subscription = { heard };
    const subscriptions = this.#subscriptions.get(channel) ?? new Set();
    this.#subscriptions.set(channel, subscriptions.add(subscription));
    return () => void subscriptions.delete(subscription);
  }

  /**
   * Ends the listener in any state. Leaves no session, timer or socket. Waits at most closeMs for
   * the server.
   */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#become("closed", "closed");
    await this.#reconnect.close();
  }

  #connected(): void {
    this.#counts.connects += 1;
    this.#announce();
  }

  #listens(): void {
    this.#become("listening", undefined);
    this.#onListening?.();
  }

  #become(state: ListenerState, reason: string | undefined): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#reason = reason;
    for (const look of this.#waiting) look();
  }

  /** Tells every subscriber that it may have missed something. */
  #announce(): void {
    if (this.#state === "closed") return;
    for (const subscriptions of this.#subscriptions.values()) this.#tell(subscriptions, undefined);
  }

  #hear(channel: string, payload: string | undefined): void {
    if (this.#state === "closed") return;
    const subscriptions = this.#subscriptions.get(channel);
    if (payload === undefined || !payloadShapes[channel as Channel]?.test(payload)) {
      this.#counts.ignored += 1; // anyone may send anything
      return;
    }
    this.#counts.heard += 1;
    if (subscriptions) this.#tell(subscriptions, payload);
  }

  #tell(subscriptions: Set<{ heard: (payload: string | undefined) => void }>, payload: string | undefined): void {
    const now = [...subscriptions]; // a callback may add a subscription, which must not get this notification
    for (const { heard } of now) {
      try {
        heard(payload);
      } catch (error) {
        // If rethrown, it would reach pg's socket handler and end the process.
        this.#counts.thrown += 1;
        this.#log.write("error", "thrown", { error }, "a callback for notifications threw");
      }
    }
  }
}

function closedError(): HarkError {
  return new HarkError(
    "LISTENER_CLOSED",
    {},
    "The listener was closed before it listened. Make a new one to listen again.",
  );
}
