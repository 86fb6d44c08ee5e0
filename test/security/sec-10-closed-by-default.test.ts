import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
// @module-tag SEC-10
import { networkInterfaces } from "node:os";
import { silentLogger } from "@hark/core";
import { createServer } from "@hark/job-manager";
import { describe, expect } from "vitest";
import { call, routes } from "../support/http.ts";
import { recordingLogger } from "../support/recording-logger.ts";
import { test } from "../support/servers.ts";

/*
 * SEC-10: without a credential the API is open to this machine only, and refuses to start on any
 * other address.
 */

const token = "0123456789abcdef0123456789abcdef";
const tokens = [{ name: "shop", token, scopes: ["read"] }] as const;
/** An address of this machine that other machines can reach. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;

describe("without a credential", () => {
  test.for(["0.0.0.0", "::", ...(outside === undefined ? [] : [outside])])(
    "it does not start on %s",
    async (host, { start }) => {
      await expect(start({ host })).rejects.toMatchObject({ code: "OPEN_SERVER" });
    },
  );

  test.for(["127.0.0.1", "localhost", "127.0.0.2"])("it starts on %s", async (host, { start }) => {
    const { url, host: bound, port } = await start({ host });
    expect(url).toBe(`http://${bound}:${port}`);
    const headers = { host: `127.0.0.1:${port}` };
    expect((await call(`${url}/api/queue/stats`, { headers })).status).toBe(200);
  });

  test(
    "mounted on an address that others can reach, it refuses them whatever host name they send",
    { tags: ["CLOSED-2"] },
    async ({ database, skip }) => {
      skip(outside === undefined, "this machine has only a loopback address");
      const hark = createServer({ database, logger: silentLogger });
      const http = createHttpServer(hark.nodeListener).listen(0, "0.0.0.0");
      await new Promise((resolve) => http.once("listening", resolve));
      const { port } = http.address() as AddressInfo;
      try {
        const forged = { headers: { host: "localhost" } };
        expect(await call(`http://${outside}:${port}/api/queue/stats`, forged)).toMatchObject({
          status: 401,
          body: { error: { code: "UNAUTHORIZED" } },
        });
        expect((await call(`http://127.0.0.1:${port}/api/queue/stats`, forged)).status).toBe(200);
      } finally {
        http.close();
        await hark.close();
      }
    },
  );
});

/** What a proxy on this machine sends to a server behind it, next to a host of loopback. */
const proxied: Record<string, string>[] = [
  { forwarded: "for=203.0.113.7" },
  { "x-forwarded-for": "203.0.113.7" },
  { "X-Forwarded-For": "127.0.0.1" },
  { "x-forwarded-host": "queue.example" },
  { "x-forwarded-proto": "https" },
  { x_forwarded_for: "203.0.113.7" },
  { "x-vercel-forwarded-for": "203.0.113.7" },
  { "forwarded-for": "203.0.113.7" },
  { "do-connecting-ip": "203.0.113.7" },
  { "x-nf-client-connection-ip": "203.0.113.7" },
  { "remote-addr": "203.0.113.7" },
  { "x-remote-user": "somebody" },
  { "x-varnish": "32770" },
  { "front-end-https": "on" },
  { "x-real-ip": "203.0.113.7" },
  { via: "1.1 proxy" },
  { "cf-connecting-ip": "203.0.113.7" },
  { "cf-ray": "230b030023ae2822-SJC" },
  { "true-client-ip": "203.0.113.7" },
  { "x-client-ip": "203.0.113.7" },
  { "x-cluster-client-ip": "203.0.113.7" },
  { "fastly-client-ip": "203.0.113.7" },
  { "fly-client-ip": "203.0.113.7" },
  { "x-envoy-external-address": "203.0.113.7" },
  { "x-original-forwarded-for": "203.0.113.7" },
  { "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678" },
  { "tailscale-user-login": "someone@example.com" },
  { "cdn-loop": "cloudflare" },
];

describe("without a credential a caller is not taken for one of this machine", () => {
  const guarded = routes.filter(({ isOpen }) => isOpen !== true);

  test("if a proxy on this machine speaks for it, on any route", async ({ start, pool }) => {
    for (const { path, ...request } of guarded) {
      const { url, port } = await start(); // strangers may send a server a hundred requests at once
      for (const headers of proxied) {
        const answer = await call(url + path, { ...request, headers: { host: `localhost:${port}`, ...headers } });
        expect([answer.status, answer.body.error.code], `${path} ${JSON.stringify(headers)}`).toEqual([
          401,
          "UNAUTHORIZED",
        ]);
        expect(answer.body.error.message).toMatch(/came through a proxy.*token, tokens or authorize/);
      }
    }
    expect((await pool.query("select from hark.jobs")).rowCount).toBe(0);
  });

  test("if it speaks HTTP/1.0, as nginx does to what stands behind it", async ({ start }) => {
    const { port } = await start();
    expect(await statusOf(port, `GET /api/queue/stats HTTP/1.0\r\nHost: localhost:${port}\r\n\r\n`)).toBe(401);
    expect(await statusOf(port, `GET /livez HTTP/1.0\r\nHost: localhost:${port}\r\n\r\n`)).toBe(200);
  });

  test("if the server is mounted through fetch, which knows no address", async ({ database, pool }) => {
    await using hark = createServer({ database, logger: silentLogger });
    for (const { path, method, body } of guarded) {
      const answer = await hark.fetch(
        new Request(`http://localhost${path}`, {
          method,
          headers: { "content-type": "application/json" },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        }),
      );
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.json()).toMatchObject({
        error: { code: "UNAUTHORIZED", message: expect.stringMatching(/cannot see.*token, tokens or authorize/) },
      });
    }
    expect((await pool.query("select from hark.jobs")).rowCount).toBe(0);
    expect((await hark.fetch(new Request("http://localhost/livez"))).status).toBe(200);
    const health = await hark.fetch(new Request("http://localhost/readyz", { headers: { via: "1.1 proxy" } }));
    expect(await health.json()).toEqual({ isReady: true, reasons: [] });
  });

  test("with a token the same requests are let in", async ({ start, database }) => {
    const { url } = await start({ token });
    const authorization = `Bearer ${token}`;
    for (const headers of proxied)
      expect((await call(`${url}/api/queue/stats`, { headers: { authorization, ...headers } })).status).toBe(200);
    await using hark = createServer({ database, token, logger: silentLogger });
    const request = new Request("https://app.example/api/queue/stats", { headers: { authorization } });
    expect((await hark.fetch(request)).status).toBe(200);
  });
});

/** Sends text as it is, and returns the status of what comes back. */
async function statusOf(port: number, text: string): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.end(text);
  let received = "";
  for await (const chunk of socket) received += String(chunk);
  return Number(received.split(" ")[1]);
}

describe("with a credential it starts on any address", () => {
  test.for([
    ["a token", { token }],
    ["tokens", { tokens }],
    ["authorize", { authorize: () => false }],
  ] as const)("%s", async ([, credential], { start }) => {
    const { url } = await start({ host: "0.0.0.0", ...credential });
    expect((await call(`${url}/api/queue/stats`)).status).toBe(401);
  });

  test("a token that is short enough to guess is warned about", async ({ start }) => {
    const logger = recordingLogger();
    await start({ host: "0.0.0.0", token: "secret", logger });
    await start({ host: "0.0.0.0", token, logger });
    await start({ token: "secret", logger });
    expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(JSON.stringify(logger.lines)).not.toContain("secret");
  });
});

describe("an invalid credential is refused at the start", () => {
  const wrong: [string, object][] = [
    ["an empty token", { token: "" }],
    ["a token with a space", { token: "a b" }],
    ["an empty list", { tokens: [] }],
    ["both", { token, tokens }],
    ["tokens and authorize", { tokens, authorize: () => true }],
    ["a short token in a list", { tokens: [{ name: "shop", token: "short", scopes: ["read"] }] }],
    ["an invalid hash", { tokens: [{ name: "shop", sha256: "abc", scopes: ["read"] }] }],
    ["no scope", { tokens: [{ name: "shop", token, scopes: [] }] }],
    ["an unknown scope", { tokens: [{ name: "shop", token, scopes: ["write"] }] }],
    ["a scope with an invalid queue", { tokens: [{ name: "shop", token, scopes: ["enqueue:No Queue"] }] }],
    ["a name with a line break", { tokens: [{ name: "shop\n", token, scopes: ["read"] }] }],
    ["an invalid end date", { tokens: [{ name: "shop", token, scopes: ["read"], expiresAt: new Date("never") }] }],
  ];
  test.for(wrong)("%s", async ([, credential], { start }) => {
    await expect(start(credential)).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
  });
});
