import { type Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listenOnOwnPort } from "./listen-on-own-port.ts";

/**
 * ok: bytes pass. refuse: the proxy does not listen, and open connections are cut. cut: connections
 * are reset, new ones on arrival. hole: bytes are dropped and sockets stay open; a connection that
 * lost bytes stays in the hole whatever mode comes later. delayMs: bytes pass late, in order.
 */
export type ProxyMode = "ok" | "refuse" | "cut" | "hole" | { delayMs: number };

/**
 * Starts a TCP proxy before a database. `await using` closes it, with every connection through it.
 */
export async function startProxy(databaseUrl: string): Promise<Proxy> {
  const { hostname, port } = new URL(databaseUrl);
  const proxy = new Proxy(databaseUrl, hostname, Number(port || 5432));
  await proxy.set("ok");
  return proxy;
}

/** A TCP proxy that causes network faults on command. */
export class Proxy implements AsyncDisposable {
  readonly #databaseUrl: string;
  readonly #host: string;
  readonly #hostPort: number;
  readonly #links = new Set<Link>();
  /** Set when it first listens. It comes back on the same port, where clients expect it. */
  #port: number | undefined;
  #server: Server | undefined;
  #mode: ProxyMode = "ok";
  #accepted = 0;

  constructor(databaseUrl: string, host: string, hostPort: number) {
    this.#databaseUrl = databaseUrl;
    this.#host = host;
    this.#hostPort = hostPort;
  }

  get port(): number {
    return this.#port!; // it has listened before a caller gets it
  }

  /** The database's URL through this proxy. */
  get url(): string {
    const url = new URL(this.#databaseUrl);
    url.hostname = "127.0.0.1";
    url.port = String(this.#port);
    return url.href;
  }

  /** Connections accepted so far. While the proxy does not listen, there are none to count. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections that clients hold open to this proxy. */
  get open(): number {
    return [...this.#links].filter(({ client }) => !client.destroyed && !client.readableEnded).length;
  }

  /** Resolves when the mode applies, also to open connections. */
  async set(mode: ProxyMode): Promise<void> {
    this.#mode = mode;
    if (mode === "refuse") this.#stopListening();
    if (mode === "refuse" || mode === "cut") for (const link of this.#links) link.reset();
    if (mode === "hole") for (const link of this.#links) link.isInHole = true;
    if (mode !== "refuse" && !this.#server) await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    for (const link of this.#links) link.reset();
  }

  async #listen(): Promise<void> {
    const { server, port } = await listenOnOwnPort((client) => this.#accept(client), this.#port);
    this.#server = server;
    this.#port = port;
  }

  #stopListening(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    if (this.#mode === "cut" || this.#mode === "refuse") {
      client.on("error", () => {}).resetAndDestroy();
      return;
    }
    const upstream = new Socket({ allowHalfOpen: true }).setNoDelay(true);
    const link = new Link(client, upstream, () => (typeof this.#mode === "object" ? this.#mode.delayMs : 0));
    link.isInHole = this.#mode === "hole";
    this.#links.add(link);
    link.whenGone(() => this.#links.delete(link));
    if (!link.isInHole) upstream.connect(this.#hostPort, this.#host);
  }
}

/** Both ends of one connection. */
class Link {
  /** Nothing from one end reaches the other, not even its close. */
  isInHole = false;
  readonly client: Socket;
  readonly #upstream: Socket;

  constructor(client: Socket, upstream: Socket, delayMs: () => number) {
    this.client = client;
    this.#upstream = upstream;
    this.#carry(client, upstream, delayMs);
    this.#carry(upstream, client, delayMs);
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.#upstream.resetAndDestroy();
    this.#upstream.destroy(); // a connection that was never made cannot be reset
  }

  whenGone(gone: () => void): void {
    const look = () => this.client.destroyed && this.#upstream.destroyed && gone();
    this.client.on("close", look);
    this.#upstream.on("close", look);
  }

  #carry(from: Socket, to: Socket, delayMs: () => number): void {
    let last: Promise<void> = Promise.resolve();
    const inTurn = async (before: Promise<void>, ms: number, act: () => void) => {
      await before;
      if (ms > 0) await sleep(ms, undefined, { ref: false });
      if (!this.isInHole && !to.destroyed) act();
    };
    const pass = (act: () => void) => {
      const ms = delayMs();
      last = inTurn(last, ms, act);
    };
    from.on("data", (bytes) => {
      from.pause();
      pass(() => to.write(bytes));
      void last.then(() => from.resume());
    });
    from.on("end", () => {
      pass(() => to.end()); // in a hole even the close is lost
    });
    from.on("error", () => {}); // "close" comes next
    from.on("close", (hadError) => {
      if (!this.isInHole && hadError) to.resetAndDestroy();
      else pass(() => to.end());
    });
  }
}
