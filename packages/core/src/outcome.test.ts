import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultBackoff } from "./backoff.ts";
import { crashBudget, decideOutcome, type Ending, type Tried } from "./outcome.ts";

const error = new Error("boom");
const endings: fc.Arbitrary<Ending> = fc.oneof(
  fc.constant<Ending>({ kind: "completed", resultJson: null }),
  fc.constant<Ending>({ kind: "error", error }),
  fc.nat(1e9).map<Ending>((delayMs) => ({ kind: "retry_after", error, delayMs })),
  fc
    .constantFrom("unrecoverable" as const, "invalid_payload" as const, "payload_unreadable" as const)
    .map<Ending>((reason) => ({ kind: "fatal", error, reason })),
  fc.constant<Ending>({ kind: "timeout", error }),
  fc.constant<Ending>({ kind: "cancelled" }),
  fc.nat(1e9).map<Ending>((delayMs) => ({ kind: "snoozed", delayMs })),
  fc.constant<Ending>({ kind: "interrupted" }),
  fc.constant<Ending>({ kind: "crashed" }),
);
const tries: fc.Arbitrary<Tried> = fc.integer({ min: 1, max: 1_000 }).chain((maxAttempts) =>
  fc.record({
    attempt: fc.integer({ min: 1, max: maxAttempts }),
    maxAttempts: fc.constant(maxAttempts),
    crashCount: fc.nat(5),
  }),
);

/** The table of outcomes, written a second time as rules, so that neither can drift alone. */
function expectedState(ending: Ending, isLast: boolean, isPoison: boolean) {
  if (ending.kind === "completed" || ending.kind === "cancelled") return ending.kind;
  if (ending.kind === "fatal") return "dead";
  if (ending.kind === "snoozed" || ending.kind === "interrupted") return "scheduled";
  return isLast || (ending.kind === "crashed" && isPoison) ? "dead" : "scheduled";
}

test("10,000 random endings land in the states that the table of outcomes says", { tags: ["FM-25", "FM-27"] }, () => {
  fc.assert(
    fc.property(endings, tries, (ending, tried) => {
      const outcome = decideOutcome(tried, ending, defaultBackoff);
      const isLast = tried.attempt === tried.maxAttempts;
      expect(outcome.state).toBe(expectedState(ending, isLast, tried.crashCount + 1 >= crashBudget));

      if (outcome.state === "scheduled") {
        const isGivenBack = ending.kind === "snoozed" || ending.kind === "interrupted";
        expect(outcome.attempt).toBe(isGivenBack ? tried.attempt - 1 : tried.attempt);
        expect(outcome.attempt).toBeLessThan(tried.maxAttempts); // the check of hark.jobs
        expect(outcome.delayMs).toBeGreaterThanOrEqual(0);
        expect(outcome.delayMs).toBeLessThanOrEqual(1e9);
        if (ending.kind === "retry_after") expect(outcome.delayMs).toBe(ending.delayMs);
        if (ending.kind === "interrupted" || ending.kind === "crashed") expect(outcome.delayMs).toBe(0);
      }
      if (outcome.state === "dead") {
        expect(outcome.error).not.toBe("");
        if (ending.kind === "crashed") expect(outcome.reason).toBe("worker_died");
        else if (ending.kind === "fatal") expect(outcome.reason).toBe(ending.reason);
        else expect(outcome.reason).toBe("attempts_exhausted");
      }
    }),
    { numRuns: 10_000 },
  );
});
