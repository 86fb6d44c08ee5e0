import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Tracks the sockets of a server and the requests on each, so that closing waits only for requests
 * in progress. Node's own close() also waits for sockets that never sent a request.
 */
export class Connections {
  readonly #server: Server;
  readonly #answering = new Map<Socket, Set<ServerResponse>>();
  readonly #ending = new WeakSet<Socket>();
  #isClosing = false;

  constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.#answering.set(socket, new Set());
      socket.on("close", () => this.#answering.delete(socket));
    });
    server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
      const responses = this.#answering.get(socket);
      if (this.#isClosing) response.setHeader("connection", "close");
      responses?.add(response);
      response.on("close", () => {
        responses?.delete(response);
        if ((this.#isClosing || this.#ending.has(socket)) && responses?.size === 0) socket.destroySoon();
      });
    });
  }

  /**
   * Ends the socket once its complete requests are answered. Returns false if there are none.
   * Called when unreadable data follows such requests: their callers should still get their
   * responses.
   */
  endAfterAnswers(socket: Socket): boolean {
    const responses = [...(this.#answering.get(socket) ?? [])];
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
    for (const [socket, responses] of this.#answering) {
      if (responses.size === 0) socket.destroy();
      for (const response of responses) if (!response.headersSent) response.setHeader("connection", "close");
    }
    const timer = setTimeout(() => this.#answering.forEach((_, socket) => socket.destroy()), deadlineMs);
    await closed;
    clearTimeout(timer);
  }
}
