import { jitter } from "@hark/core/internal";
import type { Ports } from "../ports.ts";
import { sleep } from "../runtime/sleep.ts";
import { SessionEndedError } from "./listen-session.ts";
import type { RateLimitedLog } from "./rate-limited-log.ts";

export type Session = ReturnType<Ports["newListenSession"]>;

/**
 * In ms. A black hole is noticed heartbeatMs + answerMs after it opened, at worst. A LISTEN that
 * turned silent is noticed 25 * heartbeatMs + answerMs after that (docs/decisions/0017), or when
 * the poll finds a job that was not announced.
 */
export interface ListenerDeadlines {
  /** To be connected. */
  connectMs: number;
  /** For each answer, and for each notification to come back. */
  answerMs: number;
  /** For the server to close the session, when the listener is closed. */
  closeMs: number;
  /**
   * About the time between two tries while LISTEN is silent. The cause is the pooler's
   * configuration, so it lasts.
   */
  silentMs: number;
}

/** From FM-01, and measured with its tests: a black hole is survived in 1.1 to 2.1 s. */
export const defaultDeadlines: ListenerDeadlines = {
  connectMs: 3_000,
  answerMs: 1_000,
  closeMs: 200,
  silentMs: 30_000,
};

/** After an outage of this length attempts become rare, in ms. */
const blipMs = 60_000;

/**
 * About how long a flooded listener does not listen, in ms, and how often the worker is told to
 * look meanwhile.
 */
const whileFlooded = { restMs: 500, lookMs: 50 };

/**
 * Time from one proof by a second session that LISTEN works to the next, in ms, and to the next try
 * if none could be opened.
 */
const proveAgainMs = 10_000;

export interface ReconnectParts {
  readonly newSession: () => Session;
  readonly deadlines: ListenerDeadlines;
  readonly log: RateLimitedLog;
  /** A session listens on every channel. What was sent before it did is missed. */
  readonly onConnected: () => void;
  /** Called now and then while a flood keeps it from listening. */
  readonly onMissing: () => void;
  /** Notifications are proven to arrive. Called once per session. */
  readonly onListening: () => void;
  /** A session ended. "polling": the database answers, but LISTEN is silent. */
  readonly onLost: (state: "connecting" | "polling", reason: string) => void;
}

/**
 * Opens one session after the other, for ever: at any doubt the session is thrown away, and after a
 * rest the next is opened (FM-01 to FM-04).
 */
export class Reconnect {
  readonly #parts: ReconnectParts;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #running: Promise<void> | undefined;
  #attempts = 0;
  #failures = 0;
  #leftovers = 0;
  #isListening = false;
  /** Sessions in a row that were silent. */
  #silences = 0;
  #toldSilence = false;
  /**
   * Whether a second session must still prove that this URL delivers notifications, and when to ask
   * it at the earliest.
   */
  #mustProve = true;
  #proveAt = 0;
  #provedAt = Number.NEGATIVE_INFINITY;
  #mayHaveLeft = false;

  constructor(parts: ReconnectParts) {
    this.#parts = parts;
  }

  /** Attempts to connect since it last listened; 0 while it does. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Lost sessions and failed attempts. */
  get failures(): number {
    return this.#failures;
  }

  /** Older sessions of this listener that the server still kept, and that were ended. */
  get leftovers(): number {
    return this.#leftovers;
  }

  /** Returns at once. A second call changes nothing. */
  start(): void {
    if (!this.#closing.signal.aborted) this.#running ??= this.#run();
  }

  /**
   * Asks for a new proof that notifications arrive, with the next sign of life. Ignored soon after
   * a proof, since each takes a connection.
   */
  doubt(): void {
    if (performance.now() >= this.#provedAt + proveAgainMs) this.#mustProve = true;
  }

  /** Ends the session and the loop. Waits no longer than closeMs for the server. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#session?.close(this.#parts.deadlines.closeMs);
    await this.#running;
  }

  async #run(): Promise<void> {
    const closing = this.#closing.signal;
    const { silentMs } = this.#parts.deadlines;
    let downSince = performance.now();
    let restMs = 0;
    while (!closing.aborted) {
      this.#attempts += 1;
      const ended = await this.#attempt();
      if (closing.aborted) return;

      if (this.#attempts === 0) downSince = performance.now(); // it had listened
      this.#failures += 1;
      const state = this.#lose(ended);
      if (ended instanceof SessionEndedError && ended.end === "flooded") {
        await this.#sitOut();
        continue;
      }
      restMs = state === "polling" ? jitter(silentMs) : restAfter(performance.now() - downSince, restMs);
      await sleep(restMs, { signal: closing });
    }
  }

  /** Rests from a flood. Jobs that come meanwhile are found by looking. */
  async #sitOut(): Promise<void> {
    const closing = this.#closing.signal;
    const endsAt = performance.now() + jitter(whileFlooded.restMs);
    while (performance.now() < endsAt && !closing.aborted) {
      await sleep(whileFlooded.lookMs, { signal: closing });
      this.#parts.onMissing();
    }
  }

  /** Listens until the session is over, and returns why it is. */
  async #attempt(): Promise<Error> {
    const session = (this.#session = this.#parts.newSession());
    try {
      await session.open();
      this.#parts.onConnected();
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

  /**
   * Proves that notifications arrive: at first, and whenever an older session may be left. Returns
   * false if in doubt.
   */
  async #prove(session: Session): Promise<boolean> {
    if (!(this.#mustProve || this.#mayHaveLeft) || performance.now() < this.#proveAt) return true;
    try {
      this.#leftovers += await session.probe({ endOlder: this.#mayHaveLeft });
      this.#mustProve = this.#mayHaveLeft = false;
      this.#provedAt = performance.now();
      return true;
    } catch (error) {
      if (error instanceof SessionEndedError) throw error;
      // No second session could be opened, for example because the server is full. The first
      // session may still work, so this goes on without a proof.
      this.#proveAt = performance.now() + proveAgainMs;
      this.#parts.log.write("warn", "unproven", { error }, "could not prove that notifications arrive, will try again");
      return false;
    }
  }

  #listens(): void {
    if (this.#isListening) return;
    this.#parts.log.write("info", "listening", { attempts: this.#attempts }, "listening");
    this.#attempts = this.#silences = 0;
    this.#toldSilence = false;
    this.#isListening = true;
    this.#parts.onListening();
  }

  /**
   * Reports that a session ended. Returns "polling" if LISTEN is silent, so that the next try can
   * wait. That takes two silent sessions in a row, because a connection that breaks between an
   * answer and its echo looks silent once.
   */
  #lose(why: Error): "connecting" | "polling" {
    const { log, onLost } = this.#parts;
    const end = why instanceof SessionEndedError ? why.end : "bug";
    this.#isListening = false;
    this.#silences = end === "silent" ? this.#silences + 1 : 0;
    if (this.#silences < 2) {
      log.write("warn", end, { reason: why.message, attempts: this.#attempts }, "not listening, will try again");
      onLost("connecting", why.message);
      return "connecting";
    }
    const advice = "as behind a transaction pooler: set HARK_LISTEN_URL to a direct connection";
    onLost("polling", `${why.message}, ${advice}`);
    if (!this.#toldSilence) log.write("warn", "polling", { reason: why.message }, silenceAdvice);
    this.#toldSilence = true;
    return "polling";
  }
}

const silenceAdvice =
  "no notifications arrive, so only the poll finds jobs: set HARK_LISTEN_URL to a direct connection to PostgreSQL, past the transaction pooler";

/**
 * How long to rest before the next attempt, in ms: 50 to 450 in an outage's first minute, then up
 * to three times the last rest (decorrelated jitter), at most 5 s, so that the listeners of many
 * workers do not come back at once (FM-01).
 */
export function restAfter(outageMs: number, lastRestMs: number, random: () => number = Math.random): number {
  if (outageMs < blipMs) return 50 + 400 * random();
  return Math.min(5_000, 450 + Math.max(lastRestMs * 3 - 450, 0) * random());
}
