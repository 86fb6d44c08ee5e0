import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Answers a port of the loopback address that was free a moment ago; the server may still find it taken.
 * Not the one that port 0 would give: that comes from the range of outgoing connections, and a client that redials a
 * stopped server could get the server's port for its own end, connect to itself, and keep the server from coming back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000); // Linux hands out 32768 and up, the others 49152 and up
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
