// @module-tag SEC-22
import { describe, expect } from "vitest";
import { RateLimiter } from "../../packages/server/dist/middleware/rate-limit.js";
import { call } from "../support/http.ts";
import { test } from "../support/servers.ts";

/* SEC-22, requests: each caller has its own rate. sec-22-queue-depth tests queue depth. */

const tokenOf = (name: string) => `${name}-0123456789abcdef0123456789abcdef`;
const bearer = (name: string) => ({ authorization: `Bearer ${tokenOf(name)}` });

test("a caller above its rate gets 429 with Retry-After, and others are not affected", async ({ start }) => {
  const { url } = await start({
    rateLimit: { perSecond: 1, burst: 5 },
    tokens: ["greedy", "modest"].map((name) => ({ name, token: tokenOf(name), scopes: ["read"] as const })),
  });
  const ask = (name: string) => call(`${url}/api/queue/stats`, { headers: bearer(name) });
  const answers = [];
  for (let n = 0; n < 12; n += 1) answers.push(await ask("greedy"));

  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.slice(0, 5).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(refused.length).toBeGreaterThanOrEqual(4);
  for (const { headers, body } of refused) {
    expect(Number(headers["retry-after"])).toBe(1);
    expect(body.error.code).toBe("TOO_MANY_REQUESTS");
  }
  expect((await ask("modest")).status).toBe(200);
  expect((await call(`${url}/livez`)).status).toBe(200);
});

test("a caller that guesses tokens is slowed down, and locks no other caller out", async ({ start }) => {
  const { url } = await start({ tokens: [{ name: "shop", token: tokenOf("shop"), scopes: ["read"] }] });
  const statuses: number[] = [];
  for (let n = 0; n < 150; n += 1)
    statuses.push((await call(`${url}/api/queue/stats`, { headers: bearer(`guess-${n}`) })).status);
  expect(new Set(statuses)).toEqual(new Set([401, 429]));
  expect(statuses.slice(0, 100)).toEqual(Array(100).fill(401));
  expect((await call(`${url}/api/queue/stats`, { headers: bearer("shop") })).status).toBe(200);
});

test("an invalid rate is refused", async ({ start }) => {
  for (const rateLimit of [
    { perSecond: 0 },
    { perSecond: Number.NaN },
    { perSecond: 5, burst: -1 },
    { perSecond: "9" as never },
  ])
    await expect(start({ rateLimit })).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
});

describe("the bucket", () => {
  test("gives its burst at once, then its rate, and never more than its burst after a rest", () => {
    const limiter = new RateLimiter({ perSecond: 10, burst: 3 });
    expect([0, 0, 0, 0].map(() => limiter.take("a", 0))).toEqual([0, 0, 0, 100]);
    expect([1, 2]).toContain(limiter.take("a", 99)); // rounded up
    expect(limiter.take("a", 100)).toBe(0);
    expect([0, 0, 0, 0].map(() => limiter.take("a", 1e9))).toEqual([0, 0, 0, 100]);
  });

  test("remembers a bounded number of callers", { tags: ["FM-52"] }, () => {
    const limiter = new RateLimiter({ perSecond: 1, burst: 1 });
    for (let n = 0; n < 20_000; n += 1) limiter.take(`caller-${n}`, 0);
    expect(limiter.take("caller-19999", 0)).toBe(1_000);
    expect(limiter.take("caller-0", 0)).toBe(0); // forgotten, so it has its burst again
  });
});
