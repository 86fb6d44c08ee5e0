import { EventEmitter } from "node:events";
import type { Answer, Query, Session } from "./server.ts";
import type { Thread } from "./thread.ts";
import type { World } from "./world.ts";

/** What a session asks of the network. */
export interface Wire {
  readonly world: Pick<World, "in" | "standStill">;
  readonly gates: Set<GateClient>;
  readonly listeners: Set<SimulatedListenSession>;
  /** How long a message usually takes, in ms. */
  usualMs(): number;
  isCut(thread: Thread): boolean;
  ask(thread: Thread, query: Query, deadlineMs: number, on?: Pick<Session, "execute">): Promise<Answer>;
}

/** From one sign of life of a listening session to the next, in ms. */
const beatMs = 1_000;

/** The gate's session, whose marks go when it goes. */
export class GateClient extends EventEmitter {
  readonly thread: Thread;
  readonly #network: Wire;
  readonly #deadlineMs: number;
  readonly #session: Session;

  constructor(network: Wire, thread: Thread, deadlineMs: number, session: Session) {
    super();
    this.#network = network;
    this.thread = thread;
    this.#deadlineMs = deadlineMs;
    this.#session = session;
    network.gates.add(this);
  }

  query(query: Query | string): Promise<Answer> {
    const asked = typeof query === "string" ? { text: query, values: [] } : query;
    return this.#network.ask(this.thread, asked, this.#deadlineMs, this.#session);
  }

  release(): void {
    this.#network.gates.delete(this);
    this.#network.world.in(this.#network.usualMs(), "a session ends", () => this.#leave());
  }

  /** The server ends the session; the client hears of it later. */
  cut(): void {
    this.#leave();
    this.#network.gates.delete(this);
    this.#network.world.in(
      this.#network.usualMs(),
      "the gate's session ends",
      () => void this.emit("end"),
      this.thread,
    );
  }

  #leave(): void {
    this.#network.world.standStill(() => this.#session.end());
  }
}

/** The listener's session: as the real one, but that no socket is in it. */
export class SimulatedListenSession {
  readonly thread: Thread;
  readonly hear: (channel: string, payload: string | undefined) => void;
  readonly mayBeLeft = false;
  readonly #network: Wire;
  readonly #over = new AbortController();
  isListening = false;

  constructor(network: Wire, thread: Thread, hear: (channel: string, payload: string | undefined) => void) {
    this.#network = network;
    this.thread = thread;
    this.hear = hear;
  }

  async open(): Promise<void> {
    await this.#trip();
    this.isListening = true;
    this.#network.listeners.add(this);
    await this.#trip();
  }

  ping(): Promise<void> {
    return this.#trip();
  }

  async probe(): Promise<number> {
    await this.#trip();
    return 0;
  }

  async beat(): Promise<void> {
    await this.#wait(beatMs);
    await this.#trip();
  }

  close(): Promise<void> {
    this.cut();
    return Promise.resolve();
  }

  cut(): void {
    this.isListening = false;
    this.#network.listeners.delete(this);
    this.#over.abort(new Error("the session is over"));
  }

  /** To the server and back, within a second. */
  async #trip(): Promise<void> {
    const isCut = this.#network.isCut(this.thread);
    await this.#wait(isCut ? 1_000 : this.#network.usualMs() + this.#network.usualMs());
    if (!isCut) return;
    this.cut();
    throw new Error("no answer within 1000 ms");
  }

  async #wait(ms: number): Promise<void> {
    const { signal } = this.#over;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const over = () => reject(signal.reason as Error);
    signal.addEventListener("abort", over, { once: true });
    this.#network.world.in(ms, "listener", resolve, this.thread);
    await promise.finally(() => signal.removeEventListener("abort", over));
  }
}
