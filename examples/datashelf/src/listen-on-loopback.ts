import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Listens on 127.0.0.1, on any free port for 0, and resolves when connections are accepted. Throws
 * the system's error, such as EADDRINUSE. `close` also ends the connections that clients keep open,
 * because it would otherwise wait for them.
 */
export async function listenOnLoopback(
  server: Server,
  port = 0,
): Promise<{ origin: string; close: () => Promise<void> }> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: given } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${given}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
