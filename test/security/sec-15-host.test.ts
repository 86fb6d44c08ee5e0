// @module-tag SEC-15
import { expect } from "vitest";
import { call, routes } from "../support/http.ts";
import { test } from "../support/servers.ts";

/* SEC-15: a page whose name was re-bound to this address can neither read nor change anything. */

const token = "0123456789abcdef0123456789abcdef";

test("each route answers 421 to another host name, before anything else", async ({ start }) => {
  for (const credential of [{ token }, {}]) {
    const { url, port } = await start(credential);
    for (const { path, ...request } of [
      ...routes,
      { method: "GET", path: "/nowhere" },
      { method: "OPTIONS", path: "/api/queue/jobs" },
    ]) {
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        "127.0.0.1.evil.example",
        `localhost.evil.example:${port}`,
        `[::2]:${port}`,
        `127.0.0.1:${port + 1}`,
      ]) {
        const answer = await call(url + path, {
          ...request,
          headers: {
            host,
            authorization: `Bearer ${token}`,
            "sec-fetch-site": "same-origin",
            origin: `http://${host}`,
          },
        });
        expect([answer.status, answer.body.error.code], `${host} ${path}`).toEqual([421, "HOST_NOT_ALLOWED"]);
        expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      }
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
      expect((await call(`${url}/livez`, { headers: { host } })).status, host).toBe(200);
  }
});

test("X-Forwarded-Host and similar headers are ignored", async ({ start }) => {
  const { url } = await start({ allowedHosts: ["queue.example"] });
  for (const name of ["x-forwarded-host", "forwarded", "x-host", "x-original-host"]) {
    const headers = { host: "evil.example", [name]: name === "forwarded" ? "host=queue.example" : "queue.example" };
    expect((await call(`${url}/livez`, { headers })).status, name).toBe(421);
  }
  expect((await call(`${url}/livez`, { headers: { host: "queue.example" } })).status).toBe(200);
});
