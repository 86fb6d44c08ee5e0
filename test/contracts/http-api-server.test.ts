import { once } from "node:events";
import { connect } from "node:net";
import { defineJob, silentLogger } from "@hark/core";
import { createServer, urlJobs } from "@hark/job-manager";
import { createServer as createPlainServer } from "@hark/server";
import { needs, type Routes } from "@hark/server/routes";
import { describe, expect } from "vitest";
import { bearer, test } from "../support/url-jobs-api.ts";

/** The global objects before any server is made. */
const globals = [globalThis.Request, globalThis.Response];

describe("around the calls", () => {
  test("health is open to all and says only yes or no, and why", async ({ start }) => {
    const { url } = await start();

    const live = await fetch(`${url}/livez`);
    const ready = await fetch(`${url}/readyz`);
    expect([live.status, await live.json()]).toEqual([200, { isAlive: true, reasons: [] }]);
    expect([ready.status, await ready.json()]).toEqual([200, { isReady: true, reasons: [] }]);
  });

  test("every response has the security headers, and none allows other origins", async ({ start }) => {
    const { url } = await start();

    for (const path of ["/livez", "/api/queue/stats", "/nowhere"]) {
      for (const authorization of ["", `Bearer ${bearer}`]) {
        const { headers } = await fetch(url + path, { headers: { authorization, origin: "https://evil.example" } });
        expect(Object.fromEntries(headers), path).toMatchObject({
          "cache-control": "no-store",
          "content-security-policy": expect.stringContaining("default-src 'none'"),
          "content-type": expect.stringContaining("application/json"),
          "referrer-policy": "no-referrer",
          "x-content-type-options": "nosniff",
        });
        expect([...headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
      }
    }
  });

  test("it handles a Request without any socket, so that it can be mounted in any framework", async ({ database }) => {
    const server = createServer({
      database,
      authorize: ({ headers }) => headers.get("x-user") === "root",
      logger: silentLogger,
    });
    const request = (user: string) =>
      new Request("https://app.example/api/queue/stats", { headers: { "x-user": user } });

    expect((await server.fetch(request("root"))).status).toBe(200);
    expect((await server.fetch(request("guest"))).status).toBe(401);
  });

  test("routes of another package are behind the credential, and the server alone has only its health", async ({
    database,
  }) => {
    const token = "an-operator's-token";
    const routes: Routes = {
      path: "/more",
      add: (group, parts) =>
        void group.get("/here", needs("admin"), (c) => c.json({ isOurs: parts.database === database })),
    };
    await using server = createPlainServer({ database, token, routes: [routes], logger: silentLogger });
    const ask = async (path: string, authorization = `Bearer ${token}`) => {
      const answer = await server.fetch(new Request(`https://app.example${path}`, { headers: { authorization } }));
      return [answer.status, await answer.json()];
    };

    expect(await ask("/more/here")).toEqual([200, { isOurs: true }]);
    expect(await ask("/more/here", "Bearer wrong")).toMatchObject([401, { success: false }]);
    expect(await ask("/livez", "")).toMatchObject([200, { isAlive: true }]);
    expect(await ask("/api/queue/stats")).toMatchObject([404, { success: false }]);
  });

  test("the application's global objects stay unchanged", async ({ start }) => {
    await start();
    expect([globalThis.Request, globalThis.Response]).toEqual(globals);
  });

  test("a URL job's key is its URL", () => {
    expect(urlJobs.map(({ type }) => type)).toEqual(["navigation", "category", "product"]);
    expect(urlJobs[0].key?.({ target_url: "https://shop.example/", metadata: {} })).toBe("https://shop.example/");
  });
});

describe("starting and closing", () => {
  test("without a token it binds to loopback only", async ({ start }) => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
      await expect(start({ token: undefined, host }), host).rejects.toMatchObject({
        code: "OPEN_SERVER",
        facts: { host },
      });
    }
    for (const host of [undefined, "localhost", "127.0.0.1", "::1"]) {
      const server = await start({ token: undefined, ...(host && { host }) });
      expect(["127.0.0.1", "::1"]).toContain(server.host);
      expect((await fetch(`${server.url}/api/queue/stats`)).status).toBe(200);
    }
    const open = await start({ host: "0.0.0.0" });
    expect((await fetch(`http://127.0.0.1:${open.port}/api/queue/stats`)).status).toBe(401);
  });

  test("an invalid token, port or set of jobs is rejected, and nothing listens", async ({ start }) => {
    await expect(start({ token: "" })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ token: "two words" })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ authorize: () => true })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ port: 70_000 })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    await expect(start({ jobs: [defineJob("twice"), defineJob("twice")] })).rejects.toMatchObject({
      code: "INVALID_OPTIONS",
    });

    const { port } = await start();
    await expect(start({ port })).rejects.toMatchObject({ code: "CANNOT_LISTEN" });
  });

  test("close responds to running requests, drops idle connections at once, and frees the port", async ({ start }) => {
    let letIn: (isLetIn: boolean) => void = () => {};
    const asked = Promise.withResolvers<void>();
    const slow = await start({
      token: undefined,
      authorize: () => {
        asked.resolve();
        return new Promise<boolean>((resolve) => (letIn = resolve));
      },
    });
    const silent = connect(slow.port, "127.0.0.1").on("error", () => {});
    await once(silent, "connect");
    const answer = fetch(`${slow.url}/api/queue/stats`);
    await asked.promise;

    const closed = slow.close();
    await once(silent, "close");
    letIn(true);

    expect((await answer).status).toBe(200);
    await closed;
    await expect(fetch(`${slow.url}/livez`)).rejects.toThrow();
    await start({ port: slow.port });
  });

  test("close cuts a request that outlasts the deadline", async ({ start }) => {
    const asked = Promise.withResolvers<void>();
    const stuck = await start({
      drainTimeout: 200,
      token: undefined,
      authorize: () => {
        asked.resolve();
        return new Promise<boolean>(() => {});
      },
    });
    const answer = fetch(`${stuck.url}/api/queue/stats`).then(
      () => "answered",
      () => "cut",
    );
    await asked.promise;

    await stuck.close();
    expect(await answer).toBe("cut");
  });
});
