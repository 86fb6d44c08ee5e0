import { statements } from "@hark/core";
import { expect, test } from "vitest";
import { hark } from "./hark.ts";

// The stages are told by the statements' text, and a text that changes would be counted as another stage without a word.
test("every statement that moves a job belongs to the stage that it is", () => {
  const { insertJobs, claimReadyJobs, claimPlainJobs, settleAndClaimReadyJobs, completeJobs } = statements;
  const stages = [insertJobs, claimReadyJobs, claimPlainJobs, settleAndClaimReadyJobs, completeJobs].map(
    ({ statementName, text }) => [statementName, hark.stageOf?.(text)],
  );
  expect(stages).toEqual([
    ["insert-jobs", "enqueue"],
    ["claim-jobs", "claim"],
    ["claim-plain-jobs", "claim"],
    ["settle-and-claim-jobs", "settle and claim in one"],
    ["complete-jobs", "settle"],
  ]);
  expect(hark.stageOf?.(statements.renewLease.text)).toBeUndefined();
});
