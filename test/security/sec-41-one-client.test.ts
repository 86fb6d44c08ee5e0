// @module-tag SEC-41
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { bounds } from "../../packages/server/dist/connection-bounds.js";
import { eventually } from "../support/eventually.ts";
import { call, routes } from "../support/http.ts";
import { recordingLogger } from "../support/recording-logger.ts";
import { test as base } from "../support/servers.ts";

/* SEC-41: one client that is slow or greedy harms no other, on real sockets. */

const token = "0123456789abcdef0123456789abcdef";
const list = (port: number) =>
  `GET /api/queue/dead-letter?limit=200 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;

interface Crowd {
  /** Opens a socket that sends `text` and never reads. */
  open(port: number, text: string): Socket;
  /**
   * How many were ended. Who does not read learns of it when it writes: an empty line is no
   * request.
   */
  ended(): number;
}

const test = base.extend("crowd", async ({}, { onCleanup }): Promise<Crowd> => {
  const sockets = new Set<Socket>();
  let ended = 0;
  onCleanup(() => sockets.forEach((socket) => socket.destroy()));
  return {
    open(port, text) {
      const socket = connect(port, "127.0.0.1");
      socket.pause().on("error", () => {});
      socket.on("close", () => {
        ended += 1;
        sockets.delete(socket);
      });
      socket.write(text);
      sockets.add(socket);
      return socket;
    },
    ended() {
      for (const socket of sockets) socket.write("\r\n");
      return ended;
    },
  };
});

describe("a thousand and more sockets of one client", () => {
  const kinds: [what: string, text: (port: number) => string][] = [
    ["that send nothing", () => ""],
    ["with half a request", () => "GET /livez HTTP/1.1\r\nHos"],
    [
      "with large headers and no end",
      (port) => `GET /livez HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: ${"x".repeat(8_000)}`,
    ],
    [
      "with half a body",
      (port) =>
        `POST /api/queue/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"type":`,
    ],
    ["that are kept alive", (port) => `GET /livez HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`],
    ["that wait for the database", list],
  ];
  test.for(kinds)("%s keep nobody else out", async ([, text], { start, crowd, skip }) => {
    skip(process.platform === "win32", "this machine has no thousand sockets");
    const logger = recordingLogger();
    const { url, port } = await start({ token, logger, rateLimit: false });
    const statuses: number[] = [];
    for (let round = 0; round < 40; round += 1) {
      for (let n = 0; n < 50; n += 1) crowd.open(port, text(port));
      statuses.push(
        await call(`${url}/livez`).then(
          ({ status }) => status,
          () => 0,
        ),
      );
    }
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    const headers = { authorization: `Bearer ${token}` };
    const { path, ...request } = routes.find(({ method }) => method === "POST")!;
    expect((await call(url + path, { ...request, headers })).status).toBe(201);
    await eventually(() => Promise.resolve(crowd.ended() > 900), {
      withinMs: 30_000,
      what: "the end of others",
      everyMs: 50,
    });
    const warned = logger.lines.filter(({ message }) => message.startsWith("a connection was ended"));
    expect(warned).toMatchObject([{ level: "warn", facts: { address: "127.0.0.1", bound: "sockets" } }]);
  });
});

describe("readers of the list of dead letters that never read", () => {
  const fill = `
    insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
                                error, started_at, finished_at)
    select n, 'default', 'product', jsonb_build_object('target_url', 'https://shop.example/' || n,
             'metadata', jsonb_build_object('page', repeat(md5(n::text), 3000))),
           3, 1, 1, 0, now(), now(), 'failed', 'Error: no stock', now(), now()
      from generate_series(1, 60) n on conflict do nothing`;

  test("hold bounded memory, and are ended", { timeout: 240_000 }, async ({ start, crowd, pool }) => {
    await pool.query(fill);
    const { url, port } = await start({ token, rateLimit: false });
    const heldMiB = () => {
      const { heapUsed, external } = process.memoryUsage();
      return (heapUsed + external) / 2 ** 20;
    };
    const before = heldMiB();
    let most = 0;
    for (let n = 0; n < 300; n += 1) crowd.open(port, list(port));
    await eventually(
      async () => {
        most = Math.max(most, heldMiB() - before);
        expect((await call(`${url}/livez`)).status).toBe(200);
        return crowd.ended() >= 280;
      },
      { withinMs: 100_000, what: "the end of readers that never read", everyMs: 50 },
    );
    // All 300 answers would be 1,200 MiB. Garbage is counted as well.
    expect(most).toBeLessThan(700);
  });

  test("are ended after some seconds, also if they are few or read a little now and then", async ({
    start,
    crowd,
    pool,
  }) => {
    await pool.query(fill);
    const { answerMs } = bounds;
    bounds.answerMs = 1_500;
    try {
      const { port } = await start({ token });
      const state = { isOver: false, received: 0 };
      const silent = crowd.open(port, list(port));
      const slow = crowd.open(port, list(port));
      slow.on("close", () => (state.isOver = true));
      while (!state.isOver && state.received < 3_000_000) {
        state.received += (slow.read() as Buffer | null)?.length ?? 0; // 64 KiB at most
        await sleep(200);
      }
      expect(state.isOver).toBe(true);
      await eventually(() => Promise.resolve(silent.destroyed || crowd.ended() >= 2), {
        withinMs: 60_000,
        what: "the end of a reader that never reads",
        everyMs: 50,
      });
    } finally {
      bounds.answerMs = answerMs;
    }
  });

  test("while one that reads gets all of it", async ({ start, crowd, pool }) => {
    await pool.query(fill);
    const { url, port } = await start({ token });
    for (let n = 0; n < 10; n += 1) crowd.open(port, list(port));
    const headers = { authorization: `Bearer ${token}` };
    const { status, body } = await call(`${url}/api/queue/dead-letter?limit=200`, { headers });
    expect([status, body.count]).toEqual([200, 60]);
  });
});

test("a socket with more than 32 requests that have no answer yet is ended, and others go on", async ({
  start,
  crowd,
}) => {
  const { url, port } = await start({ token });
  crowd.open(port, list(port).repeat(500));
  await eventually(() => Promise.resolve(crowd.ended() === 1), {
    withinMs: 30_000,
    what: "the end of the socket",
    everyMs: 20,
  });
  expect((await call(`${url}/livez`)).status).toBe(200);
});
