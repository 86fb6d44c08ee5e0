import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "@hark/core";
import { bounds, heldBytes, type Peer, victimOf } from "./connection-bounds.ts";

/**
 * Tracks the sockets of a server and the requests on each. Closing waits only for requests in
 * progress: Node's own close() also waits for sockets that never sent a request. And no client
 * takes the sockets or the memory of the others, however slowly it sends or reads (SEC-41).
 */
export class Connections {
  readonly #server: Server;
  readonly #logger: Logger;
  /** Those that have been quiet the longest come first. */
  readonly #peers = new Map<Socket, Peer>();
  readonly #ending = new WeakSet<Socket>();
  readonly #sweeping: NodeJS.Timeout;
  #isClosing = false;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(server: Server, logger: Logger) {
    this.#server = server;
    this.#logger = logger;
    server.maxConnections = 2 * bounds.sockets; // those beyond `bounds.sockets` are on their way out
    server.on("connection", (socket: Socket) => {
      if (this.#peers.size >= bounds.sockets) this.#end(victimOf(this.#peers), "sockets");
      this.#peers.set(socket, { address: socket.remoteAddress ?? "", responses: new Set(), readBefore: 0 });
      socket.on("close", () => this.#peers.delete(socket));
    });
    this.#sweeping = setInterval(() => this.#sweep(performance.now()), bounds.sweepMs);
    this.#sweeping.unref();
  }

  /** Takes a request in, and returns false if it is not to be answered. */
  admit({ socket }: IncomingMessage, response: ServerResponse): boolean {
    const peer = this.#peers.get(socket);
    if (!peer || socket.destroyed) return false; // what an ended socket had sent before
    if (peer.responses.size >= bounds.unanswered) {
      this.#end(socket, "unanswered");
      return false;
    }
    if (this.#isClosing) response.setHeader("connection", "close");
    peer.responses.add(response);
    response.on("prefinish", () => {
      if (response.writableLength > share) this.#sweep(performance.now());
    });
    response.on("close", () => {
      peer.responses.delete(response);
      if (peer.responses.size > 0) return;
      if (this.#isClosing || this.#ending.has(socket)) socket.destroySoon();
      peer.readBefore = socket.bytesRead;
      peer.holdsSince = undefined;
      if (this.#peers.delete(socket)) this.#peers.set(socket, peer);
    });
    return true;
  }

  /**
   * Ends the socket once its complete requests are answered. Returns false if there are none.
   * Called when unreadable data follows such requests: their callers should still get their
   * responses.
   */
  endAfterAnswers(socket: Socket): boolean {
    const responses = [...(this.#peers.get(socket)?.responses ?? [])];
    if (!responses.some(({ req }) => req.complete)) return false;
    this.#ending.add(socket);
    return true;
  }

  /**
   * Accepts no new connections, waits until requests in progress are answered, and closes the rest
   * after `deadlineMs`.
   */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const [socket, { responses }] of this.#peers) {
      if (responses.size === 0) socket.destroy();
      for (const response of responses) if (!response.headersSent) response.setHeader("connection", "close");
    }
    const timer = setTimeout(() => this.#peers.forEach((_, socket) => socket.destroy()), deadlineMs);
    await closed;
    clearTimeout(timer);
    clearInterval(this.#sweeping);
  }

  /**
   * Ends sockets whose answer is not read in time, and of the others the oldest beyond the bytes.
   */
  #sweep(now: number): void {
    let sum = 0;
    const holders: { socket: Socket; bytes: number; since: number }[] = [];
    for (const [socket, peer] of this.#peers) {
      const isUnread = [...peer.responses].some((response) => response.writableEnded || response.writableNeedDrain);
      peer.answeredAt = isUnread ? (peer.answeredAt ?? now) : undefined;
      if (peer.answeredAt !== undefined && now - peer.answeredAt > bounds.answerMs) {
        this.#end(socket, "answer");
        continue;
      }
      const bytes = heldBytes(socket, peer);
      sum += bytes;
      if (bytes < share) continue;
      holders.push({ socket, bytes, since: (peer.holdsSince ??= now) });
    }
    if (sum <= bounds.bytes) return;
    for (const { socket, bytes } of holders.toSorted((one, other) => one.since - other.since)) {
      this.#end(socket, "bytes");
      if ((sum -= bytes) <= bounds.bytes) return;
    }
  }

  #end(socket: Socket | undefined, bound: keyof typeof bounds | "answer"): void {
    if (!socket) return;
    const address = this.#peers.get(socket)?.address;
    this.#peers.delete(socket);
    socket.resetAndDestroy(); // a FIN would wait behind what the other end does not read
    if (performance.now() - this.#warnedAt < warnEveryMs) return;
    this.#warnedAt = performance.now();
    this.#logger.warn({ address, bound }, "a connection was ended, so that one client does not harm the others");
  }
}

/** Bytes from which a socket holds more than its share. */
const share = bounds.bytes / bounds.sockets;

/** A flood would fill the log. */
const warnEveryMs = 60_000;
