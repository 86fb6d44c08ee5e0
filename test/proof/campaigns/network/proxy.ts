import { type Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listenOnOwnPort } from "../../../support/listen-on-own-port.ts";
import type { Random } from "../../../support/random.ts";
import { Conversation } from "./wire.ts";

/**
 * What happens to the bytes of the connections that a {@link Trouble} is about.
 *
 * - refuse: the port is closed, and open connections are reset. Affects all connections.
 * - cut: open connections are reset, and new ones as soon as they have sent their name.
 * - hole, hole up, hole down: bytes are lost in both directions, to the server, or to the client. A
 *   connection that lost bytes stays broken.
 * - delay: bytes pass in order, `ms` later. trickle: at `bytesPerSecond`.
 * - cut at commit: a commit reaches the server, and the connection is reset when the answer
 *   arrives, so the client does not see it.
 */
export type TroubleKind = "refuse" | "cut" | "hole" | "hole up" | "hole down" | "delay" | "trickle" | "cut at commit";

export interface Trouble {
  kind: TroubleKind;
  /** Only connections with this application_name. */
  only?: string | undefined;
  /** For "delay": about this long, in ms. */
  ms?: number | undefined;
  /** For "trickle". */
  bytesPerSecond?: number | undefined;
  /** For "cut at commit": the share of commits that are cut. Default: all. */
  share?: number | undefined;
}

export interface Address {
  host: string;
  port: number;
}

/** What a proxy did. It shows that a fault took effect. */
export interface ProxyCounts {
  accepted: number;
  reset: number;
  /** Bytes that were lost. */
  swallowed: number;
  cutAtCommit: number;
}

const trickleStepMs = 20;

/**
 * A TCP proxy in front of PostgreSQL that misbehaves on command. It understands enough of the
 * protocol to choose the moment.
 */
export class Proxy implements AsyncDisposable {
  readonly counts: ProxyCounts = { accepted: 0, reset: 0, swallowed: 0, cutAtCommit: 0 };
  readonly #target: () => Address;
  readonly #random: Random;
  readonly #links = new Set<Link>();
  #server: Server | undefined;
  /** Kept from the first start, so that it comes back on the same port. */
  #port: number | undefined;
  #trouble: Trouble | undefined;

  private constructor(target: () => Address, random: Random) {
    this.#target = target;
    this.#random = random;
  }

  /**
   * Starts a proxy on a port of the loopback address. `target` is called for every new connection,
   * so the server may move.
   */
  static async start(target: () => Address, random: Random = Math.random): Promise<Proxy> {
    const proxy = new Proxy(target, random);
    await proxy.#listen();
    return proxy;
  }

  get port(): number {
    return this.#port!; // start() sets it
  }

  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  /** The ports from which open connections reach the server. They identify the sessions. */
  get portsToServer(): number[] {
    return [...this.#links].flatMap(({ portToServer }) => portToServer ?? []);
  }

  /** The same URL through this proxy. */
  urlOf(databaseUrl: string): string {
    const url = new URL(databaseUrl);
    url.hostname = "127.0.0.1";
    url.port = String(this.#port);
    return url.href;
  }

  /**
   * Resolves when the trouble affects all connections, open ones too. undefined heals what can be
   * healed.
   */
  async set(trouble: Trouble | undefined): Promise<void> {
    this.#trouble = trouble;
    if (trouble?.kind === "refuse") {
      this.#server?.close();
      this.#server = undefined;
      this.resetAll();
    } else if (!this.#server) await this.#listen();
    for (const link of this.#links) link.troubleComes();
  }

  /** Resets every open connection. */
  resetAll(): void {
    for (const link of this.#links) link.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close();
    this.#server = undefined;
    for (const link of this.#links) link.reset();
  }

  async #listen(): Promise<void> {
    const { server, port } = await listenOnOwnPort((client) => this.#accept(client), this.#port);
    this.#server = server;
    this.#port = port;
  }

  #accept(client: Socket): void {
    this.counts.accepted += 1;
    const link = new Link(client, this.#target(), {
      counts: this.counts,
      random: this.#random,
      trouble: (applicationName) => {
        const trouble = this.#trouble;
        return trouble && (trouble.only === undefined || trouble.only === applicationName) ? trouble : undefined;
      },
      gone: () => this.#links.delete(link),
    });
    this.#links.add(link);
  }
}

/** What the proxy gives its connections. */
interface Surroundings {
  counts: ProxyCounts;
  random: Random;
  trouble: (applicationName: string | undefined) => Trouble | undefined;
  gone: () => void;
}

/** Both ends of one connection, and its conversation. */
class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #around: Surroundings;
  readonly #talk = new Conversation();
  /** Which directions have lost bytes. Not even the end of a connection passes there. */
  readonly #isInHole = { up: false, down: false };
  /** Whether the connection is reset when the next answer arrives. */
  #cutsAtAnswer = false;

  constructor(client: Socket, target: Address, around: Surroundings) {
    this.#client = client;
    this.#server = new Socket({ allowHalfOpen: true }).setNoDelay(true);
    this.#around = around;
    this.#carry("up", client, this.#server);
    this.#carry("down", this.#server, client);
    const look = () => client.destroyed && this.#server.destroyed && around.gone();
    client.on("close", look);
    this.#server.on("close", look);
    this.#server.connect(target.port, target.host);
  }

  get portToServer(): number | undefined {
    return this.#server.localPort;
  }

  /** Applies a trouble that does not wait for bytes. */
  troubleComes(): void {
    const trouble = this.#trouble();
    if (trouble?.kind === "cut") this.reset();
    if (trouble?.kind === "hole" || trouble?.kind === "hole up") this.#isInHole.up = true;
    if (trouble?.kind === "hole" || trouble?.kind === "hole down") this.#isInHole.down = true;
  }

  reset(): void {
    if (this.#client.destroyed && this.#server.destroyed) return;
    this.#around.counts.reset += 1;
    resetOrClose(this.#client);
    resetOrClose(this.#server);
    this.#server.destroy(); // a socket that never connected has nothing to reset
  }

  #trouble(): Trouble | undefined {
    // A client that has not sent its name yet is hit once it has.
    return this.#around.trouble(this.#talk.applicationName);
  }

  #carry(way: "up" | "down", from: Socket, to: Socket): void {
    let last: Promise<void> = Promise.resolve();
    const inTurn = (act: () => Promise<void> | void) => {
      const turn = last.then(act);
      last = turn.catch(() => {});
      return last;
    };
    from.on("data", (bytes: Buffer) => {
      from.pause();
      void inTurn(() => this.#pass(way, bytes, to)).then(() => from.resume());
    });
    from.on("end", () => {
      void inTurn(() => {
        if (!this.#isInHole[way] && !to.destroyed) to.end();
      });
    });
    from.on("error", () => {}); // "close" follows
    from.on("close", (hadError) => {
      if (this.#isInHole[way]) return;
      if (hadError) resetOrClose(to);
      else void inTurn(() => void (to.destroyed || to.end()));
    });
  }

  async #pass(way: "up" | "down", bytes: Buffer, to: Socket): Promise<void> {
    const { counts, random } = this.#around;
    const commits = way === "up" && this.#talk.clientSays(bytes);
    if (way === "down" && this.#cutsAtAnswer) {
      counts.cutAtCommit += 1;
      this.reset();
      return;
    }
    if (way === "down") this.#talk.serverSays(bytes);

    const trouble = this.#trouble();
    this.troubleComes();
    if (this.#isInHole[way]) {
      counts.swallowed += bytes.length;
      return;
    }
    if (trouble?.kind === "cut at commit" && commits) this.#cutsAtAnswer = random() < (trouble.share ?? 1);
    if (trouble?.kind === "delay") await rest((trouble.ms ?? 0) * (0.5 + random()));
    if (trouble?.kind !== "trickle") return this.#write(way, bytes, to);
    const step = Math.max(1, Math.round(((trouble.bytesPerSecond ?? 1) * trickleStepMs) / 1_000));
    for (let at = 0; at < bytes.length; at += step) {
      this.#write(way, bytes.subarray(at, at + step), to);
      if (this.#trouble()?.kind === "trickle") await rest(trickleStepMs); // once healed, the rest passes at once
    }
  }

  #write(way: "up" | "down", bytes: Buffer, to: Socket): void {
    if (this.#isInHole[way]) this.#around.counts.swallowed += bytes.length;
    else if (!to.destroyed) to.write(bytes);
  }
}

/**
 * Resets a connection, or closes one that is being shut down. libuv refuses to reset such a
 * connection (EINVAL). Node.js 24 then emits no "close" and never closes it, so that its process
 * cannot end.
 */
export function resetOrClose(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

const rest = (ms: number) => sleep(ms, undefined, { ref: false });
