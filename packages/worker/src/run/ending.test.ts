import { runInNewContext } from "node:vm";
import { RetryAfterError, SnoozeError, UnrecoverableError } from "@hark/core";
import { decideOutcome, defaultBackoff, errorText } from "@hark/core/internal";
import { expect, test } from "vitest";
import { AttemptEnd, endingOf, interrupted } from "./ending.ts";

const tried = { attempt: 1, maxAttempts: 3, crashCount: 0 };

/** What another copy of Hark throws: it has the fields, and no class of this one. */
const ofAnotherCopy = (code: string, delayMs: unknown) =>
  Object.assign(new Error("copied"), { code, facts: {}, delayMs });

const ofAnotherRealm = (code: string, delayMs: number): unknown =>
  runInNewContext("Object.assign(new Error('far'), { code, facts: {}, delayMs })", { code, delayMs });

const delays: unknown[] = [Number.NaN, -1, Number.POSITIVE_INFINITY, "5s", undefined, null, 1e300, {}, 5n];

test.each(delays.flatMap((delay) => ["SNOOZED", "RETRY_AFTER"].map((code) => [code, delay] as const)))(
  "an error %s with the delay %s is an attempt that failed, and says so",
  { tags: ["FM-70"] },
  (code, delay) => {
    const ownClass = code === "SNOOZED" ? SnoozeError : RetryAfterError;
    for (const thrown of [new ownClass(delay as number), ofAnotherCopy(code, delay)]) {
      const ending = endingOf(thrown, undefined);
      expect(ending.kind).toBe("error");
      expect(errorText((ending as { error: unknown }).error)).toContain("asks for a delay of");
      expect(decideOutcome(tried, ending, defaultBackoff)).toMatchObject({ state: "scheduled", attempt: 1 });
    }
  },
);

test("errors of another copy or realm end the attempt as Hark's own do", { tags: ["FM-70"] }, () => {
  for (const make of [ofAnotherCopy, ofAnotherRealm]) {
    expect(endingOf(make("SNOOZED", 5), undefined)).toEqual({ kind: "snoozed", delayMs: 5 });
    expect(endingOf(make("RETRY_AFTER", 5), undefined)).toMatchObject({ kind: "retry_after", delayMs: 5 });
    expect(endingOf(make("UNRECOVERABLE", 0), undefined)).toMatchObject({ kind: "fatal" });
    expect(endingOf(undefined, make("JOB_CANCELLED", 0))).toEqual({ kind: "cancelled" });
    expect(endingOf(undefined, make("LEASE_LOST", 0))).toBe(interrupted);
  }
});

test("whatever is thrown is an attempt that failed", { tags: ["FM-70"] }, () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const throwing = new Proxy({}, { get: () => expect.unreachable(), getPrototypeOf: () => expect.unreachable() });
  const getter = Object.defineProperty(new UnrecoverableError("x"), "code", { get: () => expect.unreachable() });
  for (const thrown of [proxy, throwing, getter, undefined, null, Symbol("x"), () => {}, 5n, "text", {}]) {
    const ending = endingOf(thrown, undefined);
    expect(ending.kind).toBe("error");
    expect(decideOutcome(tried, ending, defaultBackoff)).toMatchObject({ state: "scheduled", attempt: 1 });
  }
  expect(endingOf(new AttemptEnd(interrupted), undefined)).toBe(interrupted);
});
