// @module-tag SEC-19
// @module-tag SEC-20
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { orLate } from "@hark/core/internal";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { call } from "../support/http.ts";
import { test } from "../support/servers.ts";

/*
 * SEC-19: bodies are limited by the bytes that arrive, not by their announced length.
 * contracts/http-api-bad-input has the table of shapes. SEC-20: sockets that send slowly or nothing
 * do not delay others.
 */

const token = "0123456789abcdef0123456789abcdef";
const head = (port: number, more: string) =>
  `POST /api/queue/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${more}\r\n\r\n`;

/**
 * Returns the status of the answer, or 0 for a cut connection, and how many chunks could be sent.
 */
async function send(
  port: number,
  first: string,
  chunk: string,
  times: number,
): Promise<{ status: number; sent: number }> {
  const socket = connect(port, "127.0.0.1");
  const state = { received: "" };
  let sent = 0;
  socket.setEncoding("utf8").on("data", (text: string) => (state.received += text));
  socket.on("error", () => {});
  const over = Promise.race([once(socket, "data"), once(socket, "close")]).catch(() => {});
  socket.write(first);
  for (; sent < times && state.received === "" && !socket.destroyed; sent += 1) {
    if (!socket.write(chunk))
      await orLate(Promise.race([new Promise((resolve) => socket.once("drain", resolve)), over]), 10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await orLate(over, 10_000);
  socket.destroy();
  return { status: Number(state.received.split(" ")[1] ?? 0), sent };
}

test(
  "an endless body is cut off at its limit, whatever length is announced",
  { tags: ["FM-37"] },
  async ({ start, pool }) => {
    const { port, url } = await start({ token, maxBodyBytes: 65_536 });
    const kilobytes = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const chunked = await send(port, head(port, "Transfer-Encoding: chunked"), kilobytes, 1_000);
    // A client that goes on writing may lose the answer. One that listens reads it:
    // contracts/http-api-bad-input.
    expect([413, 0]).toContain(chunked.status);
    expect(chunked.sent).toBeLessThan(200); // of 64 MB
    const announced = await send(port, head(port, "Content-Length: 99999999"), "x".repeat(65_536), 1_000);
    expect([413, 0]).toContain(announced.status);
    expect(announced.sent).toBeLessThan(200);
    expect((await pool.query("select from hark.jobs")).rowCount).toBe(0);
    expect((await call(`${url}/livez`)).status).toBe(200);
  },
);

test("five hundred sockets that send a byte a second do not delay health checks, and end by their deadline", async ({
  start,
}) => {
  const { port, url } = await start({ token });
  const sockets: Socket[] = [];
  const state = { ended: 0 };
  for (let n = 0; n < 500; n += 1) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => (state.ended += 1));
    socket.resume(); // otherwise the end would wait behind the unread answer
    socket.write("GET /livez HTTP/1.1\r\nHo");
    sockets.push(socket);
  }
  const dripping = setInterval(() => sockets.forEach((socket) => socket.writable && socket.write("s")), 1_000);
  try {
    const statuses: number[] = [];
    const haveEnded = async () => {
      statuses.push(
        await call(`${url}/livez`).then(
          ({ status }) => status,
          () => 0,
        ),
      );
      return state.ended === 500;
    };
    await eventually(haveEnded, { withinMs: 60_000, what: "the end of five hundred sockets", everyMs: 250 });
    // headersTimeout is 10 s, so more than 10 calls were answered while the sockets were open.
    expect(statuses.length).toBeGreaterThan(10);
    expect(new Set(statuses)).toEqual(new Set([200]));
  } finally {
    clearInterval(dripping);
    for (const socket of sockets) socket.destroy();
  }
});
