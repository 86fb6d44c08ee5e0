import { DatabaseUnreachableError, type Queryable } from "@hark/core";
import { pgTypes, statements } from "@hark/core/internal";
import type { PoolClient } from "pg";
import type { Writers } from "./writer-watch.ts";

type Request =
  | { readonly kind: "open" | "close"; readonly queue: string }
  /** Of all transactions, if `among` is null. */
  | { readonly kind: "writers"; readonly among: Writers | null }
  | { readonly kind: "check" };

interface Call {
  readonly request: Request;
  readonly resolve: (writers: Writers) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The gate's one session. It runs one statement at a time, in the order of the calls: pg warns of
 * queries that overlap on a client, and pg 9 will refuse them. Neighbours of one kind share a
 * statement, so that a thousand queues that open at once take two. Any failure costs the session,
 * because only then is it certain which queues are open: none.
 */
export class GateSession {
  readonly #client: PoolClient;
  /**
   * Without names: until the listener has found out, this may be a session of a transaction pooler,
   * which another client used with the same names.
   */
  readonly #unnamed: Queryable = {
    query: ({ text, values }) => this.#client.query({ text, values, types: pgTypes }),
  };
  readonly #onLost: (error: unknown) => void;
  #calls: Call[] = [];
  #isRunning = false;
  #isOver = false;

  constructor(client: PoolClient, onLost: (error: unknown) => void) {
    this.#client = client;
    this.#onLost = onLost;
    const lose = (error?: Error) => this.#lose(error ?? new Error("the server ended the session"));
    client.on("error", lose);
    client.on("end", lose);
  }

  /** Resolves with the transactions that write once the queue is open. */
  open(queue: string): Promise<Writers> {
    return this.#call({ kind: "open", queue });
  }

  /** Resolves with those of the transactions that write; of all, if `among` is null. */
  writers(among: Writers | null): Promise<Writers> {
    return this.#call({ kind: "writers", among });
  }

  async close(queue: string): Promise<void> {
    await this.#call({ kind: "close", queue });
  }

  async check(): Promise<void> {
    await this.#call({ kind: "check" });
  }

  /** Ends the session. Calls that have no answer yet fail. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#client.release(true);
    for (const { reject } of this.#calls.splice(0)) reject(lost());
  }

  #call(request: Request): Promise<Writers> {
    if (this.#isOver) return Promise.reject(lost());
    return new Promise((resolve, reject) => {
      this.#calls.push({ request, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await Promise.resolve(); // for the other calls of this turn
    while (this.#calls.length > 0) {
      const { kind } = this.#calls[0]!.request;
      const end = this.#calls.findIndex(({ request }) => request.kind !== kind);
      const calls = this.#calls.splice(0, end === -1 ? this.#calls.length : end);
      try {
        const writers = await this.#ask(calls.map(({ request }) => request));
        for (const { request, resolve } of calls) {
          const among = request.kind === "writers" ? request.among : null;
          resolve(among ? writers.filter((writer) => among.includes(writer)) : writers);
        }
      } catch (error) {
        for (const { reject } of calls) reject(error);
        this.#lose(error);
      }
    }
    this.#isRunning = false;
  }

  /** Asks requests of one kind in one statement. */
  async #ask(requests: readonly Request[]): Promise<Writers> {
    const queues = requests.flatMap((request) => ("queue" in request ? [request.queue] : []));
    const { kind } = requests[0]!;
    if (kind === "open") return (await statements.openNotifyGate(this.#unnamed, { queues }))[0]?.writers ?? [];
    if (kind === "writers")
      return (await statements.openWriters(this.#unnamed, { among: amongAll(requests) })).map(({ writer }) => writer);
    if (kind === "close") await statements.closeNotifyGate(this.#unnamed, { queues });
    else await this.#client.query("select 1");
    return [];
  }

  #lose(error: unknown): void {
    if (this.#isOver) return;
    this.end();
    this.#onLost(error);
  }
}

/** Those that any of the requests names; null if one asks for all transactions. */
function amongAll(requests: readonly Request[]): Writers | null {
  const named = requests.map((request) => (request.kind === "writers" ? request.among : []));
  return named.includes(null) ? null : [...new Set(named.flatMap((among) => among ?? []))];
}

const lost = () => new DatabaseUnreachableError("the gate's connection", new Error("the session is lost"));
