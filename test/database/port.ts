import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Returns a port of the loopback address that was free a moment ago; the server may still find it
 * taken. It does not use port 0, which gives a port from the range of outgoing connections: a
 * client that reconnects to a stopped server could get the server's port for its own end, connect
 * to itself, and keep the server from starting again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000); // outgoing connections use 32768 and up on Linux, 49152 and up elsewhere
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
