// @module-tag SEC-13
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { root } from "../docs/blocks.ts";
import { call, routes } from "../support/http.ts";
import { test } from "../support/servers.ts";

/*
 * SEC-13 is about session cookies and logins. There are none. A token is sent with each request in
 * one header, and nowhere else.
 */

const token = "0123456789abcdef0123456789abcdef";

test("no answer sets a cookie", async ({ start }) => {
  const { url } = await start({ token });
  for (const { path, ...request } of routes)
    for (const headers of [{}, { authorization: `Bearer ${token}` }, { cookie: "session=1" }]) {
      const answer = await call(url + path, { ...request, headers });
      expect(answer.headers["set-cookie"], path).toBeUndefined();
    }
});

test("a token is not accepted from a cookie, an address, a body or another header", async ({ start, pool }) => {
  const { url } = await start({ token });
  const jobs = async () => (await pool.query("select from hark.jobs")).rowCount;
  const before = await jobs();
  for (const { path, ...request } of routes.filter(({ isOpen }) => !isOpen)) {
    for (const [query, headers] of [
      ["", { cookie: `token=${token}` }],
      ["", { cookie: `session=${token}; authorization=Bearer ${token}` }],
      ["", { authorization: `Basic ${Buffer.from(`admin:${token}`).toString("base64")}` }],
      ["", { "x-api-key": token }],
      ["", { "proxy-authorization": `Bearer ${token}` }],
      [`?token=${token}&access_token=${token}`, {}],
    ] as const) {
      const answer = await call(url + path + query, { ...request, headers });
      expect([answer.status, answer.body.error.code], `${path}${query} ${JSON.stringify(headers)}`).toEqual([
        401,
        "UNAUTHORIZED",
      ]);
    }
  }
  expect(await jobs()).toBe(before);
});

test("the server does not use cookies or sessions: a login would need its own rules here", () => {
  const folder = `${root}packages/server/src/`;
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(15);
  expect(files.filter((file) => /cookie|session/i.test(readFileSync(folder + file, "utf8")))).toEqual([]);
});
