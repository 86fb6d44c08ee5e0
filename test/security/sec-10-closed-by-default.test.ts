import { createServer as createHttpServer } from "node:http";
import { type AddressInfo } from "node:net";
// @module-tag SEC-10
import { networkInterfaces } from "node:os";
import { silentLogger } from "@hark/core";
import { createServer } from "@hark/job-manager";
import { describe, expect } from "vitest";
import { call } from "../support/http.ts";
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
