// @module-tag SEC-14
import { expect } from "vitest";
import { call, routes } from "../support/http.ts";
import { test } from "../support/servers.ts";

/* SEC-14: no page of another site can change anything, and no GET changes anything. */

const token = "0123456789abcdef0123456789abcdef";
const authorization = `Bearer ${token}`;

test("each changing route refuses requests that a browser marks as from another site, with or without credentials", async ({
  start,
  pool,
}) => {
  for (const credential of [{ token }, {}]) {
    const { url, port } = await start(credential);
    const before = (await pool.query("select count(*) from hark.jobs")).rows;
    const changing = routes.filter(({ method }) => method !== "GET");
    expect(changing.length).toBeGreaterThanOrEqual(2);
    for (const { path, ...request } of changing) {
      for (const headers of [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { "sec-fetch-site": "cross-site", origin: `http://127.0.0.1:${port}` },
        { "sec-fetch-site": "anything" },
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: `http://127.0.0.1:${port + 1}` },
        { origin: `http://127.0.0.1:${port}.evil.example` },
      ]) {
        const answer = await call(url + path, { ...request, headers: { authorization, ...headers } });
        expect([answer.status, answer.body.error.code], `${path} ${JSON.stringify(headers)}`).toEqual([
          403,
          "CROSS_SITE",
        ]);
      }
      if (request.method !== "POST") continue; // a form sends only GET and POST
      // The three media types that a form can send. JSON is not one.
      for (const type of ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]) {
        const headers = { authorization, "content-type": type };
        expect((await call(url + path, { ...request, headers })).status, type).toBe(415);
      }
    }
    expect((await pool.query("select count(*) from hark.jobs")).rows).toEqual(before);
  }
});

test("the server's own pages, programs and addresses typed by hand may change things", async ({ start }) => {
  const { url, port } = await start({ token });
  const { path, ...request } = routes.find(({ method }) => method === "POST")!;
  for (const headers of [
    {},
    { "sec-fetch-site": "same-origin", origin: url },
    { "sec-fetch-site": "none" },
    { origin: `http://127.0.0.1:${port}` },
  ])
    expect((await call(url + path, { ...request, headers: { authorization, ...headers } })).status).toBe(201);
});

test("no GET and no HEAD changes a row", async ({ start, pool }) => {
  const { url } = await start({ token });
  const tables = [
    "jobs",
    "running_jobs",
    "finished_jobs",
    "dead_jobs",
    "attempts",
    "unique_keys",
    "workers",
    "locks",
    "stats",
  ];
  const content = async () =>
    Promise.all(
      tables.map(async (name) => (await pool.query(`select ctid, xmin, t.* from hark.${name} t order by ctid`)).rows),
    );
  await pool.query("select hark.enqueue('product', '{}', unique_key => 'one')");
  const before = await content();
  for (const { path } of routes)
    for (const method of ["GET", "HEAD"]) await call(url + path, { method, headers: { authorization } });
  expect(await content()).toEqual(before);
});
