import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

/**
 * Listens on the given port of the loopback address, or on a free one. Returns the server and its
 * port. Each side of a connection stays open until that side ends it.
 */
export async function listenOnOwnPort(
  accept: (client: Socket) => void,
  wanted?: number,
): Promise<{ server: Server; port: number }> {
  for (;;) {
    // A port below the range of outgoing connections: a client that connects to a free port in that
    // range may connect to itself.
    const port = wanted ?? randomInt(20_000, 32_000);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    try {
      await once(server.listen({ port, host: "127.0.0.1", exclusive: true }), "listening");
      return { server, port };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || wanted !== undefined) throw error;
    }
  }
}
