import type { statements } from "@hark/core/internal";
import { expect, test } from "vitest";
import { KeyedClaims } from "./keyed-claims.ts";

const nothing = { jobs: [], blockedKeys: [], hasOthers: false, isDeferred: false };
const jobWith = (key: string | undefined) => [{ key } as statements.ClaimedJob];

/** What claims told, on a clock that the test moves, in ms. */
function claimsOnClock() {
  let nowMs = 1_000;
  const claims = new KeyedClaims({ now: () => nowMs });
  const after = (ms: number) => {
    nowMs += ms;
    return claims;
  };
  return { claims, after, now: () => nowMs };
}

test("other workers may live until a claim told of none, and again soon after it began", () => {
  const { claims, after, now } = claimsOnClock();
  expect(claims.mayMeetOthers).toBe(true);
  claims.answered(nothing, now() - 40);
  expect(claims.mayMeetOthers).toBe(false);
  expect(after(59).mayMeetOthers).toBe(false);
  expect(after(1).mayMeetOthers).toBe(true);
  claims.answered(nothing, now());
  claims.answered({ ...nothing, hasOthers: true }, now());
  expect(claims.mayMeetOthers).toBe(true);
});

test("a claim of plain jobs alone tells nothing of other workers", () => {
  const { claims, now } = claimsOnClock();
  claims.answered({ ...nothing, isDeferred: true }, now());
  expect(claims.mayMeetOthers).toBe(true);
});

test("after a claim met another at a key, others are expected for a minute whatever claims tell", () => {
  const { claims, after, now } = claimsOnClock();
  claims.met();
  claims.answered(nothing, now());
  expect(claims.mayMeetOthers).toBe(true);
  expect(after(59_999).mayMeetOthers).toBe(true);
  claims.answered(nothing, now() + 1);
  expect(after(1).mayMeetOthers).toBe(false);
});

test("keys are expected for ten seconds after a job had one or waited for one", () => {
  const { claims, after, now } = claimsOnClock();
  claims.answered({ ...nothing, jobs: jobWith(undefined) }, now());
  expect(claims.areExpected).toBe(false);
  claims.answered({ ...nothing, jobs: jobWith("k") }, now());
  expect(after(9_999).areExpected).toBe(true);
  expect(after(1).areExpected).toBe(false);
  claims.answered({ ...nothing, blockedKeys: ["k"] }, now());
  expect(claims.areExpected).toBe(true);
});
