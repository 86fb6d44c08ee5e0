// @module-tag SEC-11
import { createHash, randomBytes } from "node:crypto";
import { defineUrlJob } from "@hark/job-manager";
import { describe, expect } from "vitest";
import { call, routes } from "../support/http.ts";
import { test } from "../support/servers.ts";

/*
 * SEC-11: several callers have tokens with their own scopes. The server needs to know only the
 * SHA-256 of a token.
 */

const secret = () => randomBytes(32).toString("hex");
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** The routes with a credential that each scope opens. */
const opened = {
  read: ["GET /api/queue/stats", "GET /api/queue/dead-letter"],
  enqueue: ["POST /api/queue/jobs"],
  "enqueue:default": ["POST /api/queue/jobs"],
  admin: [
    "GET /api/queue/stats",
    "GET /api/queue/dead-letter",
    "POST /api/queue/jobs",
    "POST /api/queue/dead-letter/requeue",
    "POST /api/queue/dead-letter/prune",
    "DELETE /api/queue/dead-letter/1",
  ],
} as const;

for (const given of ["tokens", "authorize"] as const) {
  describe(`by ${given}`, () => {
    test.for(Object.keys(opened) as (keyof typeof opened)[])(
      "the scope %s opens its routes and no others",
      async (scope, { start }) => {
        const token = secret();
        const { url } = await start(
          given === "tokens"
            ? { tokens: [{ name: "caller", token, scopes: [scope] }] }
            : { authorize: ({ headers }) => (headers.get("authorization") === `Bearer ${token}` ? [scope] : false) },
        );
        for (const { path, isOpen, ...request } of routes) {
          const { status, body } = await call(url + path, { ...request, headers: bearer(token) });
          const isOpened = isOpen || (opened[scope] as readonly string[]).includes(`${request.method} ${path}`);
          if (isOpened) expect([200, 201, 404], `${request.method} ${path}`).toContain(status);
          else expect([status, body.error.code], `${request.method} ${path}`).toEqual([403, "SCOPE_MISSING"]);
          expect((await call(url + path, request)).status, "without a token").toBe(isOpen ? status : 401);
        }
      },
    );
  });
}

test("a token for one queue enqueues into no other", async ({ start, pool }) => {
  const token = secret();
  const jobs = [defineUrlJob("product", { queue: "shop" }), defineUrlJob("category", { queue: "other" })];
  const { url } = await start({ jobs, tokens: [{ name: "shop", token, scopes: ["enqueue:shop"] }] });
  const enqueue = (type: string) =>
    call(`${url}/api/queue/jobs`, {
      method: "POST",
      headers: bearer(token),
      body: { type, target_url: "https://shop.example/2" },
    });

  expect((await enqueue("product")).status).toBe(201);
  expect(await enqueue("category")).toMatchObject({ status: 403, body: { error: { code: "SCOPE_MISSING" } } });
  const { rows } = await pool.query("select queue from hark.jobs where key = 'https://shop.example/2'");
  expect(rows).toEqual([{ queue: "shop" }]);
});

test("a token may be given by its hash and expires on time, and two tokens may have one name during a change", async ({
  start,
}) => {
  const [old, current, future, hashed] = [secret(), secret(), secret(), secret()];
  const sha256 = createHash("sha256").update(hashed).digest("hex");
  const { url } = await start({
    tokens: [
      { name: "shop", token: old, scopes: ["read"], expiresAt: new Date(Date.now() - 1) },
      { name: "shop", token: current, scopes: ["read"] },
      { name: "shop", token: future, scopes: ["read"], expiresAt: new Date(Date.now() + 60_000) },
      { name: "shop", sha256: sha256.toUpperCase(), scopes: ["read"] },
    ],
  });
  const status = async (token: string) => (await call(`${url}/api/queue/stats`, { headers: bearer(token) })).status;
  expect(await Promise.all([old, current, future, hashed].map(status))).toEqual([401, 200, 200, 200]);
  for (const wrong of [sha256, current.slice(1), `${current}0`, current.toUpperCase(), "", "%00"])
    expect(await status(wrong), wrong).toBe(401);
});

test("the result of authorize counts only if it is true or a list of scopes", async ({ start }) => {
  let answer: unknown;
  const { url } = await start({ authorize: () => answer as boolean });
  for (answer of [false, null, undefined, 1, "admin", {}, { scopes: ["admin"] }, [], new Error("no")])
    expect((await call(`${url}/api/queue/stats`)).status, String(answer)).toBe(401);
  for (answer of [true, ["read"], ["admin"]])
    expect((await call(`${url}/api/queue/stats`)).status, String(answer)).toBe(200);
});
