import { EventEmitter } from "node:events";
import type { Database, Queryable } from "@hark/core";
import { SharedDeadline, type LeaseRenewalParts, type Ports } from "@hark/worker/internal";
import type { Answer, Query, Server, Session } from "./server.ts";
import { GateClient, SimulatedListenSession } from "./sessions.ts";
import type { Thread } from "./thread.ts";
import type { World } from "./world.ts";

/** How often, from 0 to 1, a statement meets each fate. */
export interface Rates {
  /** It takes no effect, and its connection breaks. */
  readonly refused: number;
  /** It takes effect, and the connection breaks before its answer. */
  readonly lost: number;
  /** It takes effect or not, and nothing is heard of it until the client's deadline. */
  readonly silent: number;
  /**
   * It takes seconds to take effect, or its answer takes them to come back; perhaps longer than a
   * lease or a deadline.
   */
  readonly slow: number;
  /** It takes effect twice, and is answered once. */
  readonly twice: number;
  /** Of notifications: not delivered, or delivered twice. */
  readonly unheard: number;
  readonly heardTwice: number;
}

/** What stands between a worker and its connections: nothing, but in a twin. */
export type Client = (connections: Queryable) => Queryable;

export const noFaults: Rates = { refused: 0, lost: 0, silent: 0, slow: 0, twice: 0, unheard: 0, heardTwice: 0 };

/** In ms, as the product's pools have them (core's database.ts). */
const connectMs = 5_000;

/**
 * Longest a slow statement or its answer is under way, in ms: past every deadline and most leases.
 */
const slowestMs = 14_000;

const broken = () => Object.assign(new Error("Connection terminated unexpectedly"), { code: "ECONNRESET" });

/** Stands for the look at the head of a queue. */
const crowded = {
  name: "crowded-head",
  text: "select true as is_full, 1.0::float8 as foreign_share where $1::text <> '' and $2::text[] is not null",
};

/** What lies between the workers and the server, and does to each statement what the dice say. */
export class Network {
  rates: Rates;
  /** Longest usual way from client to server or back, in ms. */
  readonly latencyMs: number;
  /** Threads' names for which nothing gets through until the moment given. */
  readonly cutUntil = new Map<string, number>();
  /** Statements that a thread has not heard of yet. */
  readonly #underWay = new Map<Thread, number>();
  readonly listeners = new Set<SimulatedListenSession>();
  readonly gates = new Set<GateClient>();
  readonly world: World;
  readonly server: Server;
  readonly #client: Client;

  /**
   * Whether workers are told that jobs of other types crowd every queue, so that they claim by
   * types.
   */
  readonly #isCrowded: boolean;

  constructor(
    world: World,
    server: Server,
    {
      rates,
      latencyMs,
      isCrowded,
      client = (own) => own,
    }: { rates: Rates; latencyMs: number; isCrowded: boolean; client?: Client | undefined },
  ) {
    this.world = world;
    this.server = server;
    this.#client = client;
    this.rates = rates;
    this.latencyMs = latencyMs;
    this.#isCrowded = isCrowded;
  }

  usualMs(): number {
    return this.world.between(0, this.latencyMs);
  }

  isAsking(thread: Thread): boolean {
    return (this.#underWay.get(thread) ?? 0) > 0;
  }

  isCut(thread: Thread): boolean {
    return (this.cutUntil.get(thread.name) ?? 0) > this.world.now;
  }

  /**
   * Sends a statement for a thread; the promise settles when the thread hears of it, at its
   * deadline at the latest.
   */
  ask(thread: Thread, query: Query, deadlineMs: number, on: Pick<Session, "execute"> = this.server): Promise<Answer> {
    const name = query.name ?? query.text.trim().split(/\s/)[0]!;
    const asked = this.#isCrowded && query.name === "survey-head" ? { ...query, ...crowded } : query;
    return this.send(thread, name, deadlineMs, () => on.execute(asked));
  }

  /** The same for anything that happens on the server. */
  send<Sent>(thread: Thread, name: string, deadlineMs: number, execute: () => Promise<Sent>): Promise<Sent> {
    const { world } = this;
    const { promise, resolve, reject } = Promise.withResolvers<Sent>();
    let isHeard = false;
    this.#underWay.set(thread, (this.#underWay.get(thread) ?? 0) + 1);
    const hear = (ms: number, what: string, act: () => void) =>
      world.in(
        ms,
        `${thread.name} ${name} ${what}`,
        () => {
          if (isHeard) return;
          isHeard = true;
          this.#underWay.set(thread, this.#underWay.get(thread)! - 1);
          act();
        },
        thread,
      );
    const arrive = (thereMs: number, act: () => Promise<void>) =>
      world.in(thereMs, `${thread.name} ${name} arrives`, () => world.standStill(act));
    hear(deadlineMs, "late", () => reject(new Error("Query read timeout")));

    const fate = this.#fate(thread);
    if (fate !== "well") world.tell(`${thread.name}: ${name} is ${fate}`);
    const tooLate = world.between(0, 1) === 0;
    const waitMs = fate === "slow" ? world.between(500, slowestMs) : 0;
    switch (fate) {
      case "refused":
        hear(this.usualMs(), "refused", () => reject(broken()));
        break;
      case "silent":
        if (tooLate) arrive(this.usualMs(), async () => void (await attempt(execute)));
        break;
      case "lost":
        arrive(this.usualMs(), async () => {
          await attempt(execute);
          hear(this.usualMs(), "lost", () => reject(broken()));
        });
        break;
      default:
        arrive(this.usualMs() + (tooLate ? waitMs : 0), async () => {
          if (thread.state === "ended" && waitMs > 0) return; // the server notices while it waits
          const heard = await attempt(execute);
          if (fate === "twice") await attempt(execute);
          hear(this.usualMs() + (tooLate ? 0 : waitMs), "answered", () => {
            if ("answer" in heard) resolve(heard.answer);
            else reject(heard.error);
          });
        });
    }
    return promise;
  }

  #fate(thread: Thread): "well" | "refused" | "lost" | "silent" | "slow" | "twice" {
    if (this.isCut(thread)) return this.world.random() < 0.5 ? "refused" : "silent";
    let left = this.world.random();
    for (const fate of ["refused", "lost", "silent", "slow", "twice"] as const) {
      left -= this.rates[fate];
      if (left < 0) return fate;
    }
    return "well";
  }

  notify(channel: string, payload: string): void {
    for (const listener of this.listeners) {
      const dice = this.world.random();
      if (dice < this.rates.unheard || this.isCut(listener.thread)) continue;
      const times = dice > 1 - this.rates.heardTwice ? 2 : 1;
      for (let time = 0; time < times; time += 1) {
        const deliver = () => listener.isListening && listener.hear(channel, payload);
        this.world.in(this.usualMs(), `${listener.thread.name} hears ${channel}`, deliver, listener.thread);
      }
    }
  }

  /** A pool of connections for a thread. */
  open(
    thread: Thread,
    { maxConnections = 3, deadlineMs = 10_000 }: { maxConnections?: number | undefined; deadlineMs?: number },
  ): Database {
    const { world } = this;
    let busy = 0;
    let isClosed = false;
    const queue: (() => void)[] = [];
    let drained = Promise.withResolvers<void>();
    const free = () => {
      busy -= 1;
      queue.shift()?.();
      if (busy === 0) drained.resolve();
    };
    const asking = (asked: Query): Promise<Answer> => {
      if (isClosed) return Promise.reject(new Error("Cannot use a pool after calling end on the pool"));
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const send = () => {
        busy += 1;
        this.ask(thread, asked, deadlineMs).finally(free).then(resolve, reject);
      };
      if (busy < maxConnections) send();
      else {
        queue.push(send);
        const giveUp = () => {
          const place = queue.indexOf(send);
          if (place < 0) return;
          queue.splice(place, 1);
          reject(new Error("timeout exceeded when trying to connect"));
        };
        world.in(connectMs, "no connection", giveUp, thread);
      }
      return promise;
    };
    const connections = this.#client({ query: asking });
    const query = (asked: Query) => connections.query(asked);
    return {
      query,
      pool: { connect: () => this.#connectGate(thread, deadlineMs) },
      transaction: () => Promise.reject(new Error("no worker opens a transaction")),
      onOneConnection: (work: (on: { query: typeof query }) => unknown) => work({ query }),
      async close() {
        isClosed = true;
        drained = Promise.withResolvers();
        if (busy > 0) await drained.promise;
      },
    } as unknown as Database;
  }

  async #connectGate(thread: Thread, deadlineMs: number): Promise<GateClient> {
    const session = await this.send(thread, "connect", deadlineMs, () => this.server.connect());
    return new GateClient(this, thread, deadlineMs, session);
  }

  /** What a process of the main thread `main` and the lease thread `renewal` has around it. */
  outsideOf(main: Thread, newRenewal: () => Thread, renewForEver: (parts: LeaseRenewalParts) => Promise<never>): Ports {
    const { world } = this;
    return {
      checkSchema: () => Promise.resolve(),
      openDatabase: (options) => this.open(main, options),
      newListenSession: ({ heard }) => new SimulatedListenSession(this, main, heard),
      startLeaseThread: (data) => {
        const renewal = newRenewal();
        const events = new EventEmitter();
        /** One after the other, as messages of a port are, whatever order the world chooses. */
        const said: (() => void)[] = [];
        const say = (event: string, ...given: unknown[]) => {
          said.push(() => void events.emit(event, ...given));
          world.in(world.between(0, 1), `${main.name} thread ${event}`, () => said.shift()!(), main);
        };
        const db = this.open(renewal, { maxConnections: 1, deadlineMs: Math.min(3_000, data.leaseMs / 3) });
        const exit = () => {
          if (renewal.state === "ended") return;
          renewal.end();
          say("exit");
        };
        const hold = new SharedDeadline(data.held);
        renewal.run(() => {
          void renewForEver({
            ...data,
            tell: (news) => say("message", news),
            hold: (...words) => hold.set(...words),
            connect: () => Promise.resolve(db),
            discard: () => {},
            isMainHung: () => main.state === "frozen" && world.now - main.frozenAt >= 60_000,
          });
        });
        return Object.assign(events, {
          postMessage: () => void world.in(1, `${main.name} thread stops`, exit),
          terminate: () => (exit(), Promise.resolve(0)),
        });
      },
    };
  }
}

/**
 * Classes of SQLSTATE that no thread may hear of: a statement that is wrong, or that waits though
 * the world stands still.
 */
const isOurs = (code: unknown) => /^(42|40|55|57|XX)/.test(String(code));

async function attempt<Sent>(execute: () => Promise<Sent>): Promise<{ answer: Sent } | { error: unknown }> {
  try {
    return { answer: await execute() };
  } catch (error) {
    if (error instanceof Error && "code" in error && !isOurs(error.code)) return { error };
    throw error; // a bug of the simulation's, or an invariant that is broken
  }
}
