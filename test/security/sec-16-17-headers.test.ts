// @module-tag SEC-16
// @module-tag SEC-17
import { expect } from "vitest";
import { call, routes } from "../support/http.ts";
import { test } from "../support/servers.ts";

/*
 * SEC-16: there is no CORS header, so that other origins read nothing. SEC-17, as far as it
 * concerns an API without pages: no answer may be run, framed, sniffed or cached. The pages of a
 * dashboard have their own test in a browser.
 */

const token = "0123456789abcdef0123456789abcdef";

test("every kind of answer has the headers and no CORS header", async ({ start }) => {
  const { url } = await start({ token });
  const authorization = `Bearer ${token}`;
  const asked = [
    ...routes.map(({ path, ...request }) => [path, { ...request, headers: { authorization } }] as const),
    ...routes.map(({ path, ...request }) => [path, request] as const),
    ...routes.map(
      ({ path }) =>
        [
          path,
          { method: "OPTIONS", headers: { origin: "https://evil.example", "access-control-request-method": "POST" } },
        ] as const,
    ),
    ["/api/queue/jobs", { method: "PUT", headers: { authorization } }],
    ["/nowhere", { headers: { authorization } }],
    ["/api/queue/stats?x=1", { headers: { authorization } }],
    ["/livez", { headers: { host: "evil.example" } }],
    ["/api/queue/jobs", { method: "POST", headers: { authorization, origin: "https://evil.example" }, body: {} }],
    ["/api/queue/jobs", { method: "POST", headers: { authorization }, body: "no job" }],
  ] as const;
  const statuses = new Set<number>();
  for (const [path, request] of asked) {
    const { status, headers } = await call(url + path, request);
    statuses.add(status);
    const what = `${status} ${path}`;
    expect(headers["content-security-policy"], what).toBe(
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    );
    expect(headers, what).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "no-store",
    });
    expect(String(headers["content-type"]), what).toMatch(/^application\/json/);
    expect(
      Object.keys(headers).filter((name) => name.startsWith("access-control-")),
      what,
    ).toEqual([]);
    expect(headers["server"] ?? headers["x-powered-by"], what).toBeUndefined();
  }
  expect([...statuses].toSorted((one, other) => one - other)).toEqual([200, 201, 400, 401, 403, 404, 405, 421]);
});
