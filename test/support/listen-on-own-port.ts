import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

/**
 * Listens on the port of the loopback address that is given, or on a free one; answers the server and its port. Halves of
 * connections stay open until each end says so itself.
 */
export async function listenOnOwnPort(
  accept: (client: Socket) => void,
  wanted?: number,
): Promise<{ server: Server; port: number }> {
  for (;;) {
    // Below the range that outgoing connections get: whoever redials a free port there may connect to itself.
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
